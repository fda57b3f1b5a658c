#include "config/config.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/uuid.h"
#include "config/fields.h"
#include "config/yaml.h"

namespace holdfast::config {
namespace {

using nlohmann::json;

constexpr std::string_view kPathVariable = "HOLDFAST_CONFIG";

Error invalid(const std::string& place, const std::string& why) {
  return {ErrorCode::kInvalid, place + why};
}

class FileReader {
 public:
  FileReader(const YamlDocument& document, Config& config)
      : document_(document),
        config_(config),
        directory_(std::filesystem::path(document.file).parent_path()) {}

  // `path` and `pointer` name the same section, as keys do and as JSON pointers do.
  Status read_section(const std::string& path, const json::json_pointer& pointer,
                      const json& section) {
    if (section.is_null()) return {};  // All its keys are commented out.
    if (!section.is_object()) return problem(path, pointer, "must be a mapping (key: value)");
    for (const auto& [key, value] : section.items()) {
      const std::string member = path.empty() ? key : path + "." + key;
      Status status = read_member(member, pointer / key, key, value);
      if (!status.ok()) return status;
    }
    return {};
  }

 private:
  Status read_member(const std::string& path, const json::json_pointer& pointer,
                     const std::string& key, const json& value) {
    // A key with a dot in it must not pass for a path.
    const bool plain = key.find('.') == std::string::npos;
    if (plain && is_section(path)) return read_section(path, pointer, value);
    const Field* field = plain ? find_field(path) : nullptr;
    if (field == nullptr) return problem(path, pointer, "unknown key \"" + key + "\"");
    const Status status = set_value(*field, config_, value);
    if (!status.ok()) return problem(path, pointer, status.error().message);
    resolve(*field);
    config_.origins[path] = origin(pointer);
    return {};
  }

  std::string origin(const json::json_pointer& pointer) const {
    return document_.file + ":" + std::to_string(document_.lines.at(pointer.to_string()));
  }

  Error problem(const std::string& path, const json::json_pointer& pointer,
                const std::string& why) const {
    return invalid(origin(pointer) + ": " + (path.empty() ? "" : path + ": "), why);
  }

  void resolve(const Field& field) const {
    std::string* path = nullptr;
    if (const auto* file = std::get_if<FileKind>(&field.kind)) path = &file->at(config_);
    if (const auto* folder = std::get_if<DirectoryKind>(&field.kind)) path = &folder->at(config_);
    if (const auto* state = std::get_if<StateFileKind>(&field.kind)) path = &state->at(config_);
    if (path != nullptr) *path = from_here(*path);
    if (const auto* files = std::get_if<FileListKind>(&field.kind)) {
      for (std::string& file : files->at(config_)) file = from_here(file);
    }
  }

  std::string from_here(const std::string& path) const {
    return (directory_ / path).lexically_normal().string();
  }

  const YamlDocument& document_;
  Config& config_;
  std::filesystem::path directory_;
};

Status apply_file(const std::string& path, Config& config) {
  const Result<YamlDocument> document = load_yaml(path);
  if (!document.ok()) return document.error();
  return FileReader(*document, config).read_section("", json::json_pointer(), document->value);
}

Status apply_environment(const std::map<std::string, std::string>& environment, Config& config) {
  for (const auto& [name, text] : environment) {
    if (!name.starts_with("HOLDFAST_") || name == kPathVariable) continue;
    const Field* meant = nullptr;
    for (const Field& field : fields()) {
      if (environment_name(field.path) == name) meant = &field;
    }
    if (meant == nullptr) return invalid(name + ": ", "unknown environment variable");
    const Status status = set_text(*meant, config, text);
    if (!status.ok()) return invalid(name + ": ", status.error().message);
    config.origins[meant->path] = name;
  }
  return {};
}

Status apply_settings(const std::vector<std::string>& settings, Config& config) {
  for (const std::string& setting : settings) {
    const std::size_t equals = setting.find('=');
    if (equals == std::string::npos) {
      return invalid("--set " + setting + ": ", "must be key=value");
    }
    const std::string path = setting.substr(0, equals);
    const Field* field = find_field(path);
    if (field == nullptr) return invalid("--set " + path + ": ", "unknown key \"" + path + "\"");
    const Status status = set_text(*field, config, setting.substr(equals + 1));
    if (!status.ok()) return invalid("--set " + path + ": ", status.error().message);
    config.origins[path] = "--set";
  }
  return {};
}

// What of the proxy's client side and way out only makes sense together.
Status check_proxy(const Config& config) {
  const Tls& tls = config.proxy.tls;
  if (tls.client_certificates != ClientCertificates::kNone) {
    const std::string place = config.where("proxy.tls.client_certificates");
    if (tls.certificate_file.empty()) return invalid(place, "needs HTTPS: set certificate_file");
    if (tls.client_ca_file.empty()) return invalid(place, "client_ca_file is missing beside it");
  } else if (!tls.client_ca_file.empty()) {
    return invalid(config.where("proxy.tls.client_ca_file"),
                   "not used while client_certificates is none");
  }
  if (config.proxy.proxy_protocol != ProxyProtocol::kOff && config.proxy.trusted_proxies.empty()) {
    return invalid(config.where("proxy.proxy_protocol"),
                   "needs proxy.trusted_proxies: who sends these headers");
  }
  if (!config.upstream.egress_credentials_file.empty() && config.upstream.egress_proxy.empty()) {
    return invalid(config.where("upstream.egress_credentials_file"),
                   "not used without upstream.egress_proxy");
  }
  return {};
}

// Who is calling is either a certificate's word or a token's.
Status check_identity(const Config& config) {
  const Identity& identity = config.identity;
  if (identity.mode != IdentityMode::kMtls) {
    if (identity.certificates.empty()) return {};
    return invalid(config.where("identity.certificates"), "not used unless identity.mode is mtls");
  }
  const std::string place = config.where("identity.mode");
  if (config.proxy.tls.client_certificates != ClientCertificates::kRequired) {
    return invalid(place, "mtls needs proxy.tls.client_certificates: required");
  }
  if (identity.certificates.empty()) {
    return invalid(place, "mtls needs identity.certificates: which name stands for which app");
  }
  return {};
}

Status check_together(const Config& config) {
  for (const auto& [certificate, key] :
       {std::pair{"proxy.tls.certificate_file", "proxy.tls.key_file"},
        std::pair{"audit.tls.certificate_file", "audit.tls.key_file"}}) {
    const bool has_certificate = config.origins.contains(certificate);
    if (has_certificate == config.origins.contains(key)) continue;
    const std::string given = has_certificate ? certificate : key;
    const std::string missing = has_certificate ? key : certificate;
    return invalid(config.where(given), missing + " is missing beside it");
  }
  if (config.proxy.limits.buffered_bodies_bytes < config.proxy.limits.buffered_body_bytes) {
    const bool all_given = config.origins.contains("proxy.limits.buffered_bodies_bytes");
    return all_given ? invalid(config.where("proxy.limits.buffered_bodies_bytes"),
                               "must not be less than proxy.limits.buffered_body_bytes")
                     : invalid(config.where("proxy.limits.buffered_body_bytes"),
                               "must not be more than proxy.limits.buffered_bodies_bytes");
  }
  if (config.upstream.connections < config.upstream.connections_per_address) {
    const bool all_given = config.origins.contains("upstream.connections");
    return all_given ? invalid(config.where("upstream.connections"),
                               "must not be less than upstream.connections_per_address, which is " +
                                   std::to_string(config.upstream.connections_per_address))
                     : invalid(config.where("upstream.connections_per_address"),
                               "must not be more than upstream.connections, which is " +
                                   std::to_string(config.upstream.connections));
  }
  for (const Status& status : {check_proxy(config), check_identity(config)}) {
    if (!status.ok()) return status;
  }
  if (config.audit_log.append_timeout >= config.audit_log.lease) {
    const bool timeout_given = config.origins.contains("audit_log.append_timeout");
    return timeout_given ? invalid(config.where("audit_log.append_timeout"),
                                   "must be shorter than audit_log.lease")
                         : invalid(config.where("audit_log.lease"),
                                   "must be longer than audit_log.append_timeout");
  }
  return {};
}

struct RoleKeys {
  std::string command;
  std::vector<std::string> sections;
};

RoleKeys keys_of(Role role) {
  switch (role) {
    case Role::kProxy:
      return {"proxy", {"proxy", "upstream", "identity", "rules", "audit_log", "logging"}};
    case Role::kAudit:
      return {"audit", {"audit", "audit_log", "logging"}};
    case Role::kCheck:
      return {"check", {"rules", "logging"}};
    case Role::kMigrate:
      return {"migrate", {"migrate", "logging"}};
    case Role::kRetention:
      return {"retention", {"retention", "logging"}};
    case Role::kErasure:
      return {"retention erase", {"retention", "logging"}};
    case Role::kRecords:
      return {"records", {"records", "logging"}};
  }
  return {};
}

// A log that is signed needs a name and a place to remember what was signed.
Status check_signing(const Config& config) {
  const LogTree& log = config.audit.log;
  if (log.key_files.empty()) return {};
  for (const std::string& file : log.key_files) {
    if (access(file.c_str(), R_OK) == 0) continue;
    return invalid(config.where("audit.log.key_files"),
                   "the file " + file + " is missing or cannot be read");
  }
  for (const auto& [key, value] : {std::pair("audit.log.origin", log.origin),
                                   std::pair("audit.log.checkpoint_file", log.checkpoint_file)}) {
    if (value.empty()) {
      return invalid(config.where("audit.log.key_files"),
                     std::string(key) + " is missing beside it");
    }
  }
  return {};
}

using KeyAndValue = std::pair<std::string, std::string>;

// Keys that mean nothing without each other.
Status check_all_or_none(const Config& config, const std::vector<KeyAndValue>& keys) {
  for (const auto& [given, value] : keys) {
    if (value.empty()) continue;
    for (const auto& [other, needed] : keys) {
      if (needed.empty()) return invalid(config.where(given), other + " is missing beside it");
    }
  }
  return {};
}

// Graph is asked with one credential or not at all.
Status check_graph_access(const Config& config, const std::string& section,
                          const GraphAccess& access) {
  const std::vector<KeyAndValue> application = {
      {section + ".tenant", access.tenant},
      {section + ".client_id", access.client_id},
      {section + ".client_secret_file", access.client_secret_file}};
  for (const auto& [given, value] : application) {
    if (!value.empty() && !access.token_file.empty()) {
      return invalid(config.where(given), "cannot stand beside " + section + ".token_file");
    }
  }
  return check_all_or_none(config, application);
}

Status check_hold_sync(const Config& config) {
  const HoldSync& sync = config.audit.hold_sync;
  Status access = check_graph_access(config, "audit.hold_sync", sync.access);
  if (!access.ok()) return access;
  if (!sync.holds.empty() && sync.list_file.empty()) {
    return invalid(config.where("audit.hold_sync.holds"),
                   "not used without audit.hold_sync.list_file");
  }
  return check_all_or_none(
      config,
      {{"audit.hold_sync.list_file", sync.list_file},
       {sync.access.tenant.empty() ? "audit.hold_sync.token_file" : "audit.hold_sync.tenant",
        sync.access.tenant.empty() ? sync.access.token_file : sync.access.tenant}});
}

Status check_sign_in(const Config& config) {
  const SignIn& sign_in = config.audit.sign_in;
  Status complete = check_all_or_none(config, {{"audit.sign_in.issuer", sign_in.issuer},
                                               {"audit.sign_in.audience", sign_in.audience},
                                               {"audit.sign_in.tenant", sign_in.tenant},
                                               {"audit.sign_in.keys_url", sign_in.keys_url}});
  if (!complete.ok()) return complete;
  const std::string& url = sign_in.keys_url;
  if (!url.empty() && !url.starts_with("https://")) {
    return invalid(config.where("audit.sign_in.keys_url"), "must begin with https://");
  }
  if (!sign_in.tenant.empty() && !parse_uuid(sign_in.tenant)) {
    return invalid(config.where("audit.sign_in.tenant"), "must be a GUID");
  }
  return {};
}

template <class Range, class Value>
bool holds(const Range& range, const Value& value) {
  return std::find(range.begin(), range.end(), value) != range.end();
}

}  // namespace

std::string Config::where(const std::string& key) const {
  const auto origin = origins.find(key);
  if (origin == origins.end() || origin->second == environment_name(key)) {
    return (origin == origins.end() ? key : origin->second) + ": ";
  }
  return origin->second + (origin->second == "--set" ? " " : ": ") + key + ": ";
}

std::map<std::string, std::string> holdfast_environment() {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::size_t equals = text.find('=');
    if (!text.starts_with("HOLDFAST_") || equals == std::string_view::npos) continue;
    variables.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return variables;
}

Result<Config> load_config(const LoadOptions& options) {
  Config config;
  std::string file = options.file;
  const auto named = options.environment.find(std::string(kPathVariable));
  if (file.empty() && named != options.environment.end()) file = named->second;
  if (!file.empty()) {
    const Status status = apply_file(file, config);
    if (!status.ok()) return status.error();
  }
  for (const Status& status : {apply_environment(options.environment, config),
                               apply_settings(options.settings, config), check_together(config)}) {
    if (!status.ok()) return status.error();
  }
  return config;
}

Status check_for(const Config& config, Role role) {
  const RoleKeys keys = keys_of(role);
  for (const Field& field : fields()) {
    if (!holds(keys.sections, field.path.substr(0, field.path.find('.')))) continue;
    const json found = get_value(field, config);
    const auto* value = found.get_ptr<const std::string*>();
    if (value == nullptr) continue;
    if (value->empty() && holds(field.needed_by, role)) {
      return invalid(field.path + ": ", "missing; `holdfast " + keys.command +
                                            "` needs it, in the " + "file or as " +
                                            environment_name(field.path));
    }
    const bool is_file = std::holds_alternative<FileKind>(field.kind);
    if (is_file && !value->empty() && access(value->c_str(), R_OK) != 0) {
      return invalid(config.where(field.path),
                     "the file " + *value + " is missing or cannot be read");
    }
  }
  if (role == Role::kRetention && config.retention.age.count() == 0) {
    return invalid(config.where("retention.age"),
                   "missing; `holdfast retention` needs to know how old records become");
  }
  if (role != Role::kAudit) return {};
  Status signing = check_signing(config);
  if (!signing.ok()) return signing;
  for (const Status& status :
       {check_graph_access(config, "audit.reconcile", config.audit.reconcile.access),
        check_hold_sync(config), check_sign_in(config)}) {
    if (!status.ok()) return status;
  }
  return {};
}

}  // namespace holdfast::config

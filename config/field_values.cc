// One value of the configuration: from JSON or text to its member and back, by its kind.
#include <algorithm>
#include <type_traits>

#include "config/fields.h"
#include "config/values.h"
#include "config/yaml.h"

namespace holdfast::config {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};

Error must(const std::string& what) {
  return {ErrorCode::kInvalid, "must " + what};
}

// The text of a JSON string that is not empty, else null.
const std::string* text_of(const json& value) {
  const auto* text = value.get_ptr<const std::string*>();
  return text == nullptr || text->empty() ? nullptr : text;
}

Status set_string(std::string& member, const json& value, const std::string& wanted) {
  const std::string* text = text_of(value);
  if (text == nullptr) return must("be " + wanted + ", and not empty");
  member = *text;
  return {};
}

Status set(const TextKind& kind, Config& config, const json& value) {
  return set_string(kind.at(config), value, "text");
}
Status set(const FileKind& kind, Config& config, const json& value) {
  return set_string(kind.at(config), value, "the path of a file");
}
Status set(const DirectoryKind& kind, Config& config, const json& value) {
  return set_string(kind.at(config), value, "the path of a directory");
}

Status set(const StateFileKind& kind, Config& config, const json& value) {
  return set_string(kind.at(config), value, "the path of a file");
}

Status set(const FileListKind& kind, Config& config, const json& value) {
  if (!value.is_array()) return must("be a list of files such as [one.key, two.key]");
  std::vector<std::string> files;
  for (const json& element : value) {
    const std::string* text = text_of(element);
    if (text == nullptr) return must("be a list of files; not a path: " + element.dump());
    files.push_back(*text);
  }
  kind.at(config) = std::move(files);
  return {};
}

Status set(const DatabaseUrlKind& kind, Config& config, const json& value) {
  const std::string* text = text_of(value);
  if (text == nullptr) return must("be a PostgreSQL URL such as postgresql://user@host:5432/name");
  // A password in here would be a secret in the file, in the dump and in error messages.
  const std::size_t scheme = text->find("://");
  const std::size_t user = scheme == std::string::npos ? text->size() : scheme + 3;
  const std::string authority = text->substr(user, text->find_first_of("/?", user) - user);
  const std::size_t at = authority.rfind('@');
  const bool in_authority =
      at != std::string::npos && authority.substr(0, at).find(':') != std::string::npos;
  if (in_authority || text->find("password") != std::string::npos) {
    return must("not hold a password: put it into the password_file beside it");
  }
  kind.at(config) = *text;
  return {};
}

Status set(const OriginKind& kind, Config& config, const json& value) {
  const std::string* text = text_of(value);
  if (text == nullptr || !is_origin(*text)) {
    return must(
        "be like https://host or https://host:port, without a path; http only to localhost");
  }
  kind.at(config) = *text;
  return {};
}

Status set(const HttpProxyKind& kind, Config& config, const json& value) {
  const std::string* text = text_of(value);
  if (text == nullptr || !is_http_proxy(*text)) {
    return must("be like http://host:port; credentials go into egress_credentials_file");
  }
  kind.at(config) = *text;
  return {};
}

Status set(const UrlKind& kind, Config& config, const json& value) {
  const std::string* text = text_of(value);
  const std::size_t scheme = text == nullptr ? std::string::npos : text->find("://");
  if (scheme == std::string::npos || !is_origin(text->substr(0, text->find('/', scheme + 3))) ||
      text->find_first_of(" \t\r\n#") != std::string::npos) {
    return must("be a URL such as https://host/path; http only to localhost");
  }
  kind.at(config) = *text;
  return {};
}

Status set(const EndpointKind& kind, Config& config, const json& value) {
  const std::string* text = text_of(value);
  const auto endpoint = text == nullptr ? std::nullopt : parse_endpoint(*text);
  if (!endpoint) return must("be an address and a port such as 127.0.0.1:8443");
  kind.at(config) = *endpoint;
  return {};
}

Status set(const CidrListKind& kind, Config& config, const json& value) {
  if (!value.is_array()) return must("be a list of networks such as [10.0.0.0/8]");
  std::vector<std::string> blocks;
  for (const json& element : value) {
    const std::string* text = text_of(element);
    if (text == nullptr || !is_cidr(*text)) {
      return must("be a list of networks such as [10.0.0.0/8]; not a network: " + element.dump());
    }
    blocks.push_back(*text);
  }
  kind.at(config) = std::move(blocks);
  return {};
}

Status set(const HoldListKind& kind, Config& config, const json& value) {
  const std::string wanted = "be a list of ids, each CASE or CASE/HOLD";
  if (!value.is_array()) return must(wanted);
  std::vector<std::string> holds;
  for (const json& element : value) {
    const std::string* text = text_of(element);
    if (text == nullptr || !is_hold(*text)) return must(wanted + "; not one: " + element.dump());
    holds.push_back(*text);
  }
  kind.at(config) = std::move(holds);
  return {};
}

Status set(const VerifierKeyListKind& kind, Config& config, const json& value) {
  const std::string wanted = "be a list of verifier keys, each NAME+ID+KEY as keygen prints it";
  if (!value.is_array()) return must(wanted);
  std::vector<std::string> keys;
  for (const json& element : value) {
    const std::string* text = text_of(element);
    if (text == nullptr || !is_verifier_key(*text)) {
      return must(wanted + "; not one: " + element.dump());
    }
    keys.push_back(*text);
  }
  kind.at(config) = std::move(keys);
  return {};
}

Status set(const CertificateListKind& kind, Config& config, const json& value) {
  const std::string wanted =
      "be a list of names and apps such as [DNS:billing.contoso.com TENANT/APP]";
  if (!value.is_array()) return must(wanted);
  std::vector<CertificateApp> apps;
  for (const json& element : value) {
    const std::string* text = text_of(element);
    std::optional<CertificateApp> app =
        text == nullptr ? std::nullopt : parse_certificate_app(*text);
    if (!app) {
      return must(wanted + ", of DNS: or URI: names without wildcards; not one: " + element.dump());
    }
    if (std::ranges::find(apps, app->name, &CertificateApp::name) != apps.end()) {
      return must("name each name once; twice: " + app->name);
    }
    apps.push_back(*std::move(app));
  }
  kind.at(config) = std::move(apps);
  return {};
}

Status set(const CountKind& kind, Config& config, const json& value) {
  if (!value.is_number_integer() || value.get<std::int64_t>() < kind.min ||
      value.get<std::int64_t>() > kind.max) {
    return must("be a whole number from " + std::to_string(kind.min) + " to " +
                std::to_string(kind.max));
  }
  kind.at(config) = value.get<int>();
  return {};
}

Status set(const BytesKind& kind, Config& config, const json& value) {
  const std::string* text = text_of(value);
  const auto bytes = text == nullptr ? std::nullopt : parse_bytes(*text);
  if (!bytes || *bytes < kind.min || *bytes > kind.max) {
    return must("be a size such as 64KiB, from " + bytes_text(kind.min) + " to " +
                bytes_text(kind.max));
  }
  kind.at(config) = *bytes;
  return {};
}

Status set(const DurationKind& kind, Config& config, const json& value) {
  const std::string* text = text_of(value);
  const auto duration = text == nullptr ? std::nullopt : parse_duration(*text);
  if (!duration || *duration < kind.min || *duration > kind.max) {
    return must("be a duration such as 250ms, 5s or 10m, from " + duration_text(kind.min) + " to " +
                duration_text(kind.max));
  }
  kind.at(config) = *duration;
  return {};
}

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

Status set(const FlagKind& kind, Config& config, const json& value) {
  if (!value.is_boolean()) return must("be true or false");
  kind.at(config) = value.get<bool>();
  return {};
}

Status set(const ChoiceKind& kind, Config& config, const json& value) {
  const std::string* text = text_of(value);
  if (text != nullptr) {
    const auto name = std::ranges::find(kind.names, *text);
    if (name != kind.names.end()) {
      kind.set(config, static_cast<int>(name - kind.names.begin()));
      return {};
    }
    if (std::ranges::find(kind.not_built, *text) != kind.not_built.end()) {
      return Error{ErrorCode::kInvalid, "\"" + *text + "\" is not built yet"};
    }
  }
  return must("be " + std::string(kind.names.size() == 1 ? "" : "one of ") + join(kind.names));
}

ordered_json text_schema(const std::string& pattern) {
  return {{"type", "string"}, {"pattern", pattern}};
}

}  // namespace

Status set_value(const Field& field, Config& config, const json& value) {
  return std::visit([&](const auto& kind) { return set(kind, config, value); }, field.kind);
}

Status set_text(const Field& field, Config& config, const std::string& text) {
  json value = text;
  if (std::holds_alternative<CountKind>(field.kind)) {
    const bool digits = !text.empty() && text.size() <= 9 &&
                        text.find_first_not_of("0123456789") == std::string::npos;
    if (digits) value = std::stoi(text);
  } else if (std::holds_alternative<FlagKind>(field.kind)) {
    if (text == "true" || text == "false") value = text == "true";
  } else if (std::holds_alternative<CidrListKind>(field.kind) ||
             std::holds_alternative<FileListKind>(field.kind) ||
             std::holds_alternative<HoldListKind>(field.kind) ||
             std::holds_alternative<VerifierKeyListKind>(field.kind) ||
             std::holds_alternative<CertificateListKind>(field.kind)) {
    if (text.starts_with('[')) {  // As in the file; what is no such list is refused as text.
      const Result<YamlDocument> list = parse_yaml(text, {});
      return set_value(field, config, list.ok() ? list->value : value);
    }
    value = json::array();
    for (std::size_t begin = 0; !text.empty() && begin <= text.size();) {
      const std::size_t end = std::min(text.find(',', begin), text.size());
      value.push_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  return set_value(field, config, value);
}

json get_value(const Field& field, Config config) {
  return std::visit(
      Overloaded{
          [&](const EndpointKind& kind) -> json { return endpoint_text(kind.at(config)); },
          [&](const CertificateListKind& kind) -> json {
            json texts = json::array();
            for (const CertificateApp& app : kind.at(config)) {
              texts.push_back(certificate_app_text(app));
            }
            return texts;
          },
          [&](const CountKind& kind) -> json { return kind.at(config); },
          [&](const BytesKind& kind) -> json { return bytes_text(kind.at(config)); },
          [&](const DurationKind& kind) -> json { return duration_text(kind.at(config)); },
          [&](const ChoiceKind& kind) -> json {
            return kind.names[static_cast<std::size_t>(kind.get(config))];
          },
          [&](const auto& kind) -> json { return kind.at(config); },
      },
      field.kind);
}

ordered_json value_schema(const Field& field) {
  return std::visit(
      Overloaded{
          [](const EndpointKind&) { return text_schema("^.+:[0-9]+$"); },
          [](const UrlKind&) { return text_schema("^https?://[^# ]+$"); },
          [](const OriginKind&) { return text_schema("^https?://[^/]+$"); },
          [](const HttpProxyKind&) { return text_schema("^http://[^/@]+:[0-9]+$"); },
          [](const BytesKind&) { return text_schema("^[0-9]+(B|KiB|MiB|GiB)$"); },
          [](const DurationKind&) { return text_schema("^[0-9]+(ms|s|m|h|d)$"); },
          [](const CidrListKind&) {
            return ordered_json{{"type", "array"}, {"items", text_schema("^.+/[0-9]+$")}};
          },
          [](const HoldListKind&) {
            return ordered_json{{"type", "array"},
                                {"items", text_schema("^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)?$")}};
          },
          [](const VerifierKeyListKind&) {
            return ordered_json{
                {"type", "array"},
                {"items", text_schema("^[^ +]+[+][0-9a-f]{8}[+][A-Za-z0-9+/]+=*$")}};
          },
          [](const CertificateListKind&) {
            return ordered_json{{"type", "array"},
                                {"items", text_schema("^(DNS|URI):[^ ]+ [0-9A-Fa-f-]{36}/"
                                                      "[0-9A-Fa-f-]{36}$")}};
          },
          [](const FileListKind&) {
            return ordered_json{{"type", "array"},
                                {"items", {{"type", "string"}, {"minLength", 1}}}};
          },
          [](const CountKind& kind) {
            return ordered_json{{"type", "integer"}, {"minimum", kind.min}, {"maximum", kind.max}};
          },
          [](const FlagKind&) { return ordered_json{{"type", "boolean"}}; },
          [](const ChoiceKind& kind) { return ordered_json{{"enum", kind.names}}; },
          [](const auto&) { return ordered_json{{"type", "string"}, {"minLength", 1}}; },
      },
      field.kind);
}

}  // namespace holdfast::config

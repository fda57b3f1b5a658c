#include "config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <ostream>
#include <sstream>

#include "config/fields.h"
#include "config/yaml.h"

namespace holdfast::config {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

// A directory of its own for each test, gone afterwards.
class ConfigTest : public testing::Test {
 protected:
  ConfigTest() {
    std::string pattern = testing::TempDir() + "holdfast_config_XXXXXX";
    directory_ = mkdtemp(pattern.data());
  }
  ~ConfigTest() override { std::filesystem::remove_all(directory_); }

  std::string write(const std::string& name, const std::string& text) const {
    const std::string path = directory_ + "/" + name;
    std::ofstream(path) << text;
    return path;
  }

  std::string directory_;
};

Result<Config> load_text(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
  return load_config({.file = path, .environment = {}, .settings = {}});
}

TEST_F(ConfigTest, WithoutAnythingHasTheDefaults) {
  const auto config = load_config({});
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->proxy.listen, (Endpoint{"127.0.0.1", 8443}));
  EXPECT_EQ(config->proxy.limits.header_bytes, 32U * 1024);
  EXPECT_EQ(config->proxy.timeouts.idle, 75s);
  EXPECT_EQ(config->upstream.origin, "https://graph.microsoft.com");
  EXPECT_EQ(config->identity.mailbox_cache, 10min);
  EXPECT_TRUE(config->origins.empty());
}

TEST_F(ConfigTest, LaterSourcesWin) {
  const std::string file =
      write("h.yaml", "proxy:\n  threads: 3\n  limits: {connections: 30, header_count: 30}\n");
  const auto config =
      load_config({.file = file,
                   .environment = {{"HOLDFAST_PROXY__LIMITS__CONNECTIONS", "40"},
                                   {"HOLDFAST_PROXY__LIMITS__HEADER_COUNT", "40"},
                                   {"PATH", "/bin"}},
                   .settings = {"proxy.limits.header_count=50", "proxy.limits.header_count=51",
                                "upstream.ca_file=a=b"}});
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->audit.threads, 1);
  EXPECT_EQ(config->proxy.threads, 3);
  EXPECT_EQ(config->proxy.limits.connections, 40);
  EXPECT_EQ(config->proxy.limits.header_count, 51);
  EXPECT_EQ(config->upstream.ca_file, "a=b");
  EXPECT_EQ(config->where("proxy.threads"), file + ":2: proxy.threads: ");
  EXPECT_EQ(config->where("proxy.limits.connections"), "HOLDFAST_PROXY__LIMITS__CONNECTIONS: ");
  EXPECT_EQ(config->where("proxy.limits.header_count"), "--set proxy.limits.header_count: ");
  EXPECT_EQ(config->where("audit.threads"), "audit.threads: ");
}

TEST_F(ConfigTest, TheEnvironmentNamesTheFileUnlessTheCommandLineDoes) {
  const std::string one = write("one.yaml", "proxy: {threads: 5}\n");
  const std::string two = write("two.yaml", "proxy: {threads: 6}\n");
  const auto named = load_config({.environment = {{"HOLDFAST_CONFIG", one}}});
  ASSERT_TRUE(named.ok()) << named.error().message;
  EXPECT_EQ(named->proxy.threads, 5);
  const auto given = load_config({.file = two, .environment = {{"HOLDFAST_CONFIG", one}}});
  ASSERT_TRUE(given.ok()) << given.error().message;
  EXPECT_EQ(given->proxy.threads, 6);
}

TEST_F(ConfigTest, ThisProcessesEnvironmentIsReadByPrefix) {
  setenv("HOLDFAST_PROXY__THREADS", "7", 1);
  const auto environment = holdfast_environment();
  unsetenv("HOLDFAST_PROXY__THREADS");
  EXPECT_EQ(environment.at("HOLDFAST_PROXY__THREADS"), "7");
  EXPECT_FALSE(environment.contains("PATH"));
}

TEST_F(ConfigTest, PathsInTheFileAreRelativeToIt) {
  const std::string file =
      write("h.yaml",
            "rules: {file: ../rules.yaml}\nproxy: {spool_dir: spool}\nupstream: {ca_file: /a}\n");
  const auto config = load_config({.file = file,
                                   .environment = {{"HOLDFAST_RECORDS__CA_FILE", "ca.crt"}},
                                   .settings = {"audit.tokens_file=tokens.json"}});
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->rules.file,
            std::filesystem::path(directory_).parent_path().string() + "/rules.yaml");
  EXPECT_EQ(config->proxy.spool_dir, directory_ + "/spool");
  EXPECT_EQ(config->upstream.ca_file, "/a");
  EXPECT_EQ(config->records.ca_file, "ca.crt");
  EXPECT_EQ(config->audit.tokens_file, "tokens.json");
}

TEST_F(ConfigTest, SectionsMayBeEmpty) {
  for (const char* text : {"", "# nothing\n", "proxy:\n", "proxy:\n  tls:\n    # key_file: x\n"}) {
    const auto config = load_text(directory_ + "/h.yaml", text);
    EXPECT_TRUE(config.ok()) << text << ": " << config.error().message;
  }
}

const std::string kApp =
    "d3b07384-0000-4000-8000-000000000005/6a1e55aa-0000-4000-8000-000000000006";
const std::string kBilling = "DNS:billing.contoso.com " + kApp;

struct FileCase {
  const char* name;
  std::string text;
  std::string message;  // What follows the file's path.
};

void PrintTo(const FileCase& row, std::ostream* out) {
  *out << row.name;
}

class BadFile : public ConfigTest, public testing::WithParamInterface<FileCase> {};

TEST_P(BadFile, IsRefusedByLineAndKey) {
  const std::string path = directory_ + "/h.yaml";
  const auto config = load_text(path, GetParam().text);
  ASSERT_FALSE(config.ok());
  EXPECT_EQ(config.error().code, ErrorCode::kInvalid);
  EXPECT_EQ(config.error().message, path + GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, BadFile,
    testing::Values(
        FileCase{"unknown_section", "proxy: {}\nprocksy: {}\n",
                 ":2: procksy: unknown key \"procksy\""},
        FileCase{"unknown_key", "proxy:\n  lisen: 1\n", ":2: proxy.lisen: unknown key \"lisen\""},
        FileCase{"unknown_key_below", "proxy:\n  tls:\n    cert: x\n",
                 ":3: proxy.tls.cert: unknown key \"cert\""},
        FileCase{"path_as_key", "proxy.threads: 3\n",
                 ":1: proxy.threads: unknown key \"proxy.threads\""},
        FileCase{"slash_in_key", "proxy:\n  a/b: 3\n", ":2: proxy.a/b: unknown key \"a/b\""},
        FileCase{"below_a_key", "proxy:\n  threads: {a: 1}\n",
                 ":2: proxy.threads: must be a whole number from 1 to 256"},
        FileCase{"section_is_text", "proxy: x\n", ":1: proxy: must be a mapping (key: value)"},
        FileCase{"file_is_a_list", "- a\n", ":1: must be a mapping (key: value)"},
        FileCase{"duplicate", "proxy:\n  threads: 1\n  threads: 2\n",
                 ":3: the key \"threads\" is already on line 2"},
        FileCase{"no_value", "proxy:\n  listen:\n",
                 ":2: proxy.listen: must be an address and a port such as 127.0.0.1:8443"},
        FileCase{"bad_endpoint", "proxy: {listen: nowhere}\n",
                 ":1: proxy.listen: must be an address and a port such as 127.0.0.1:8443"},
        FileCase{"count_as_text", "proxy: {threads: '2'}\n",
                 ":1: proxy.threads: must be a whole number from 1 to 256"},
        FileCase{"count_too_small", "proxy: {threads: 0}\n",
                 ":1: proxy.threads: must be a whole number from 1 to 256"},
        FileCase{"count_too_large", "proxy: {threads: 9999999999}\n",
                 ":1: proxy.threads: must be a whole number from 1 to 256"},
        FileCase{"count_as_decimal", "proxy: {threads: 1.5}\n",
                 ":1: proxy.threads: must be a whole number from 1 to 256"},
        FileCase{"size_without_unit", "proxy: {limits: {target_bytes: 8192}}\n",
                 ":1: proxy.limits.target_bytes: must be a size such as 64KiB, from 256B to 1MiB"},
        FileCase{
            "duration_without_unit", "proxy: {drain_timeout: 30}\n",
            ":1: proxy.drain_timeout: must be a duration such as 250ms, 5s or 10m, from 0ms to "
            "1h"},
        FileCase{
            "cache_too_long", "identity: {mailbox_cache: 11m}\n",
            ":1: identity.mailbox_cache: must be a duration such as 250ms, 5s or 10m, from 0ms "
            "to 10m"},
        FileCase{"file_as_number", "rules: {file: 5}\n",
                 ":1: rules.file: must be the path of a file, and not empty"},
        FileCase{"empty_path", "proxy: {spool_dir: ''}\n",
                 ":1: proxy.spool_dir: must be the path of a directory, and not empty"},
        FileCase{"networks_as_text", "proxy: {trusted_proxies: 10.0.0.0/8}\n",
                 ":1: proxy.trusted_proxies: must be a list of networks such as [10.0.0.0/8]"},
        FileCase{
            "bad_network", "proxy: {trusted_proxies: [10.0.0.0/8, lan]}\n",
            ":1: proxy.trusted_proxies: must be a list of networks such as [10.0.0.0/8]; not a "
            "network: \"lan\""},
        FileCase{"origin_with_path", "upstream: {origin: 'https://graph.microsoft.com/v1.0'}\n",
                 ":1: upstream.origin: must be like https://host or https://host:port, without a "
                 "path; http only to localhost"},
        FileCase{"plain_origin", "upstream: {origin: 'http://graph.microsoft.com'}\n",
                 ":1: upstream.origin: must be like https://host or https://host:port, without a "
                 "path; http only to localhost"},
        FileCase{"password_in_url", "proxy: {database: {url: 'postgresql://a:s3cret@h/db'}}\n",
                 ":1: proxy.database.url: must not hold a password: put it into the password_file "
                 "beside it"},
        FileCase{"password_in_query", "audit: {database: {url: 'postgresql://h/db?password=x'}}\n",
                 ":1: audit.database.url: must not hold a password: put it into the password_file "
                 "beside it"},
        FileCase{
            "password_as_keyword", "migrate: {database: {url: host=h password=x}}\n",
            ":1: migrate.database.url: must not hold a password: put it into the password_file "
            "beside it"},
        FileCase{"mode_not_built", "identity: {mode: own_audience}\n",
                 ":1: identity.mode: \"own_audience\" is not built yet"},
        FileCase{"mode_unknown", "identity: {mode: none}\n",
                 ":1: identity.mode: must be one of passthrough, mtls"},
        FileCase{"mtls_without_certificates",
                 "identity: {mode: mtls, certificates: [" + kBilling + "]}\n",
                 ":1: identity.mode: mtls needs proxy.tls.client_certificates: required"},
        FileCase{"mtls_with_optional_certificates",
                 "proxy: {tls: {certificate_file: a, key_file: b, client_certificates: optional, "
                 "client_ca_file: c}}\nidentity: {mode: mtls, certificates: [" +
                     kBilling + "]}\n",
                 ":2: identity.mode: mtls needs proxy.tls.client_certificates: required"},
        FileCase{"mtls_of_nobody",
                 "proxy: {tls: {certificate_file: a, key_file: b, client_certificates: required, "
                 "client_ca_file: c}}\nidentity: {mode: mtls}\n",
                 ":2: identity.mode: mtls needs identity.certificates: which name stands for which "
                 "app"},
        FileCase{"certificates_for_nothing", "identity: {certificates: [" + kBilling + "]}\n",
                 ":1: identity.certificates: not used unless identity.mode is mtls"},
        FileCase{"certificates_as_text", "identity: {certificates: '" + kBilling + "'}\n",
                 ":1: identity.certificates: must be a list of names and apps such as "
                 "[DNS:billing.contoso.com TENANT/APP]"},
        FileCase{"certificate_of_a_wildcard",
                 "identity: {certificates: [DNS:*.contoso.com " + kApp + "]}\n",
                 ":1: identity.certificates: must be a list of names and apps such as "
                 "[DNS:billing.contoso.com TENANT/APP], of DNS: or URI: names without wildcards; "
                 "not one: \"DNS:*.contoso.com " +
                     kApp + "\""},
        FileCase{
            "certificate_named_twice",
            "identity: {certificates: [" + kBilling + ", DNS:BILLING.contoso.com " + kApp + "]}\n",
            ":1: identity.certificates: must name each name once; twice: "
            "DNS:billing.contoso.com"},
        FileCase{"level_unknown", "logging: {level: loud}\n",
                 ":1: logging.level: must be one of debug, info, warning, error"},
        FileCase{"certificate_without_key", "proxy: {tls: {certificate_file: a}}\n",
                 ":1: proxy.tls.certificate_file: proxy.tls.key_file is missing beside it"},
        FileCase{"key_without_certificate", "audit:\n  tls:\n    key_file: a\n",
                 ":3: audit.tls.key_file: audit.tls.certificate_file is missing beside it"},
        FileCase{"client_certificates_unknown", "proxy: {tls: {client_certificates: yes}}\n",
                 ":1: proxy.tls.client_certificates: must be one of none, optional, required"},
        FileCase{"client_certificates_without_https",
                 "proxy: {tls: {client_certificates: optional, client_ca_file: a}}\n",
                 ":1: proxy.tls.client_certificates: needs HTTPS: set certificate_file"},
        FileCase{"client_certificates_without_authority",
                 "proxy: {tls: {client_certificates: required, certificate_file: a, key_file: "
                 "b}}\n",
                 ":1: proxy.tls.client_certificates: client_ca_file is missing beside it"},
        FileCase{"authority_without_client_certificates", "proxy: {tls: {client_ca_file: a}}\n",
                 ":1: proxy.tls.client_ca_file: not used while client_certificates is none"},
        FileCase{"proxy_protocol_1", "proxy: {proxy_protocol: v1}\n",
                 ":1: proxy.proxy_protocol: must be one of off, v2"},
        FileCase{"proxy_protocol_from_nobody", "proxy: {proxy_protocol: v2}\n",
                 ":1: proxy.proxy_protocol: needs proxy.trusted_proxies: who sends these headers"},
        FileCase{"egress_proxy_with_password",
                 "upstream: {egress_proxy: 'http://user:secret@egress:3128'}\n",
                 ":1: upstream.egress_proxy: must be like http://host:port; credentials go into "
                 "egress_credentials_file"},
        FileCase{"egress_credentials_for_nobody", "upstream: {egress_credentials_file: a}\n",
                 ":1: upstream.egress_credentials_file: not used without upstream.egress_proxy"},
        FileCase{"more_for_one_address_than_there_are",
                 "upstream:\n  connections: 100\n  connections_per_address: 101\n",
                 ":2: upstream.connections: must not be less than "
                 "upstream.connections_per_address, which is 101"},
        FileCase{"fewer_than_for_one_address", "upstream: {connections: 255}\n",
                 ":1: upstream.connections: must not be less than "
                 "upstream.connections_per_address, which is 256"},
        FileCase{"more_for_one_address_than_by_default",
                 "upstream: {connections_per_address: 513}\n",
                 ":1: upstream.connections_per_address: must not be more than "
                 "upstream.connections, which is 512"},
        FileCase{"append_outlives_lease", "audit_log:\n  append_timeout: 15s\n",
                 ":2: audit_log.append_timeout: must be shorter than audit_log.lease"},
        FileCase{"lease_below_append", "audit_log: {lease: 4s}\n",
                 ":1: audit_log.lease: must be longer than audit_log.append_timeout"}),
    [](const auto& row) { return row.param.name; });

TEST_F(ConfigTest, EveryCloudOfGraphMayBeTheUpstream) {
  for (const std::string host : {"graph.microsoft.com", "graph.microsoft.us",
                                 "dod-graph.microsoft.us", "microsoftgraph.chinacloudapi.cn"}) {
    const auto config = load_config({.settings = {"upstream.origin=https://" + host}});
    ASSERT_TRUE(config.ok()) << config.error().message;
    EXPECT_EQ(config->upstream.origin, "https://" + host);
  }
}

TEST_F(ConfigTest, APasswordIsNotRepeatedInTheMessage) {
  const auto config = load_config({.settings = {"proxy.database.url=postgresql://a:s3cret@h/db"}});
  ASSERT_FALSE(config.ok());
  EXPECT_EQ(config.error().message.find("s3cret"), std::string::npos);
}

TEST_F(ConfigTest, AColonAfterTheAuthorityIsNoPassword) {
  EXPECT_TRUE(
      load_config({.settings = {"proxy.database.url=postgresql://u@h:5432/db?a=b:c@d"}}).ok());
  EXPECT_TRUE(load_config({.settings = {"proxy.database.url=host=/run/pg dbname=x user=u"}}).ok());
}

struct OverrideCase {
  const char* name;
  LoadOptions options;
  const char* message;
};

void PrintTo(const OverrideCase& row, std::ostream* out) {
  *out << row.name;
}

class BadOverride : public testing::TestWithParam<OverrideCase> {};

TEST_P(BadOverride, IsRefusedByName) {
  const auto config = load_config(GetParam().options);
  ASSERT_FALSE(config.ok());
  EXPECT_EQ(config.error().message, GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, BadOverride,
    testing::Values(
        OverrideCase{"unknown_variable",
                     {.environment = {{"HOLDFAST_PROXY__LISEN", "x"}}},
                     "HOLDFAST_PROXY__LISEN: unknown environment variable"},
        OverrideCase{"lower_case_variable",
                     {.environment = {{"HOLDFAST_proxy__listen", "127.0.0.1:1"}}},
                     "HOLDFAST_proxy__listen: unknown environment variable"},
        OverrideCase{"section_variable",
                     {.environment = {{"HOLDFAST_PROXY", "x"}}},
                     "HOLDFAST_PROXY: unknown environment variable"},
        OverrideCase{"bad_variable",
                     {.environment = {{"HOLDFAST_PROXY__THREADS", "two"}}},
                     "HOLDFAST_PROXY__THREADS: must be a whole number from 1 to 256"},
        OverrideCase{"empty_variable",
                     {.environment = {{"HOLDFAST_RULES__FILE", ""}}},
                     "HOLDFAST_RULES__FILE: must be the path of a file, and not empty"},
        OverrideCase{"unknown_key",
                     {.settings = {"proxy.lisen=1"}},
                     "--set proxy.lisen: unknown key \"proxy.lisen\""},
        OverrideCase{
            "section_as_key", {.settings = {"proxy=1"}}, "--set proxy: unknown key \"proxy\""},
        OverrideCase{
            "no_value", {.settings = {"proxy.threads"}}, "--set proxy.threads: must be key=value"},
        OverrideCase{"bad_value",
                     {.settings = {"proxy.threads=-1"}},
                     "--set proxy.threads: must be a whole number from 1 to 256"},
        OverrideCase{
            "bad_list",
            {.settings = {"proxy.trusted_proxies=10.0.0.0/8,"}},
            "--set proxy.trusted_proxies: must be a list of networks such as [10.0.0.0/8]; "
            "not a network: \"\""},
        OverrideCase{
            "bad_value_in_brackets",
            {.settings = {"proxy.trusted_proxies=[10.0.0.0/8, lan]"}},
            "--set proxy.trusted_proxies: must be a list of networks such as [10.0.0.0/8]; "
            "not a network: \"lan\""},
        OverrideCase{
            "open_bracket",
            {.settings = {"proxy.trusted_proxies=[10.0.0.0/8"}},
            "--set proxy.trusted_proxies: must be a list of networks such as [10.0.0.0/8]"},
        OverrideCase{"missing_file",
                     {.file = "/nonexistent/h.yaml"},
                     "/nonexistent/h.yaml: the file is missing or cannot be read"},
        OverrideCase{"missing_file_of_the_environment",
                     {.environment = {{"HOLDFAST_CONFIG", "/nonexistent/e.yaml"}}},
                     "/nonexistent/e.yaml: the file is missing or cannot be read"}),
    [](const auto& row) { return row.param.name; });

TEST_F(ConfigTest, ListsInTextAreWrittenAsInTheFile) {
  const std::vector<std::string> both = {"10.0.0.0/8", "::1/128"};
  const auto set = load_config({.settings = {"proxy.trusted_proxies=[10.0.0.0/8, '::1/128']"}});
  ASSERT_TRUE(set.ok()) << set.error().message;
  EXPECT_EQ(set->proxy.trusted_proxies, both);
  const auto variable = load_config(
      {.environment = {{"HOLDFAST_PROXY__TRUSTED_PROXIES", "[10.0.0.0/8,\"::1/128\"]"}}});
  ASSERT_TRUE(variable.ok()) << variable.error().message;
  EXPECT_EQ(variable->proxy.trusted_proxies, both);
  const auto none = load_config({.settings = {"proxy.trusted_proxies=[]"}});
  ASSERT_TRUE(none.ok()) << none.error().message;
  EXPECT_TRUE(none->proxy.trusted_proxies.empty());
}

TEST_F(ConfigTest, ListsInTextAreSeparatedByCommas) {
  const auto config = load_config({.settings = {"proxy.trusted_proxies=10.0.0.0/8,::1/128"}});
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->proxy.trusted_proxies, (std::vector<std::string>{"10.0.0.0/8", "::1/128"}));
  const auto none = load_config({.settings = {"proxy.trusted_proxies="}});
  ASSERT_TRUE(none.ok());
  EXPECT_TRUE(none->proxy.trusted_proxies.empty());
}

TEST_F(ConfigTest, CertificatesNameApps) {
  const auto config = load_config(
      {.settings = {"proxy.tls.certificate_file=a", "proxy.tls.key_file=b",
                    "proxy.tls.client_certificates=required", "proxy.tls.client_ca_file=c",
                    "identity.mode=mtls",
                    "identity.certificates=DNS:Billing.contoso.com "
                    "D3B07384-0000-4000-8000-000000000005/6A1E55AA-0000-4000-8000-000000000006,"
                    "URI:spiffe://contoso.com/Billing " +
                        kApp}});
  ASSERT_TRUE(config.ok()) << config.error().message;
  const std::vector<CertificateApp>& apps = config->identity.certificates;
  ASSERT_EQ(apps.size(), 2U);
  EXPECT_EQ(apps[0].name, "DNS:billing.contoso.com");
  EXPECT_EQ(apps[1].name, "URI:spiffe://contoso.com/Billing");
  for (const CertificateApp& app : apps) {
    EXPECT_EQ(app.tenant_id, "d3b07384-0000-4000-8000-000000000005");
    EXPECT_EQ(app.app_id, "6a1e55aa-0000-4000-8000-000000000006");
  }
}

struct RoleCase {
  const char* name;
  Role role;
  std::vector<std::string> keys;  // Needed, in the order they are asked for.
};

void PrintTo(const RoleCase& row, std::ostream* out) {
  *out << row.name;
}

class RoleNeeds : public ConfigTest, public testing::WithParamInterface<RoleCase> {};

TEST_P(RoleNeeds, EveryKeyByName) {
  const std::string readable = write("readable", "x");
  LoadOptions options;
  for (const std::string& key : GetParam().keys) {
    const auto config = load_config(options);
    ASSERT_TRUE(config.ok());
    const Status status = check_for(*config, GetParam().role);
    ASSERT_FALSE(status.ok()) << key;
    EXPECT_THAT(status.error().message, testing::StartsWith(key + ": missing; `holdfast "));
    const bool is_url = key.ends_with(".url");
    options.settings.push_back(key + "=" + (is_url ? "postgresql://u@h/db" : readable));
  }
  const auto config = load_config(options);
  ASSERT_TRUE(config.ok());
  const Status status = check_for(*config, GetParam().role);
  EXPECT_TRUE(status.ok()) << status.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    Cases, RoleNeeds,
    testing::Values(
        RoleCase{"proxy", Role::kProxy, {"proxy.spool_dir", "proxy.database.url", "rules.file"}},
        RoleCase{"audit", Role::kAudit, {"audit.tokens_file", "audit.database.url"}},
        RoleCase{"check", Role::kCheck, {"rules.file"}},
        RoleCase{"migrate", Role::kMigrate, {"migrate.database.url"}},
        RoleCase{"records", Role::kRecords, {"records.token_file"}}),
    [](const auto& row) { return row.param.name; });

TEST_F(ConfigTest, ASignedLogNeedsANameAndAMemory) {
  const std::string key = write("log.key", "x");
  LoadOptions options{
      .settings = {"audit.tokens_file=" + key, "audit.database.url=postgresql://u@h/d"}};
  EXPECT_TRUE(check_for(*load_config(options), Role::kAudit).ok());
  const auto problem = [&](const std::string& setting) {
    options.settings.push_back(setting);
    const auto config = load_config(options);
    return config.ok() ? check_for(*config, Role::kAudit).error().message : config.error().message;
  };
  EXPECT_THAT(problem("audit.log.key_files=" + key), HasSubstr("audit.log.origin is missing"));
  EXPECT_THAT(problem("audit.log.origin=a.example/log"),
              HasSubstr("audit.log.checkpoint_file is missing"));
  options.settings.push_back("audit.log.checkpoint_file=" + directory_ + "/checkpoint");
  EXPECT_TRUE(check_for(*load_config(options), Role::kAudit).ok());
  EXPECT_THAT(problem("audit.log.key_files=" + key + "," + directory_ + "/gone"),
              HasSubstr("/gone is missing or cannot be read"));
  EXPECT_THAT(problem("audit.log.key_files=a,,b"), HasSubstr("not a path"));
  // Relative to the file that names them.
  const auto config = load_text(directory_ + "/h.yaml",
                                "audit:\n  log:\n    key_files: [keys/a, /b]\n"
                                "    checkpoint_file: state/checkpoint\n");
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->audit.log.key_files, (std::vector<std::string>{directory_ + "/keys/a", "/b"}));
  EXPECT_EQ(config->audit.log.checkpoint_file, directory_ + "/state/checkpoint");
}

const std::string kVerifierKey =
    "a.example/log+1a2b3c4d+AaRTXUg7Y8zV7m2rNmJqfQm9eXvQdPpJb0hOe0xq9kLc";

TEST_F(ConfigTest, RetiredKeysAreVerifierKeys) {
  const auto given = [](const std::string& keys) {
    return load_config({.settings = {"audit.log.verifier_keys=" + keys}});
  };
  const auto two = given(kVerifierKey + "," + kVerifierKey);
  ASSERT_TRUE(two.ok()) << two.error().message;
  EXPECT_EQ(two->audit.log.verifier_keys, (std::vector<std::string>{kVerifierKey, kVerifierKey}));
  EXPECT_THAT(given("/etc/old.key").error().message, HasSubstr("must be a list of verifier keys"));
}

TEST_F(ConfigTest, GraphIsAskedWithOneWholeCredentialOrNone) {
  const std::string file = write("secret", "x");
  const auto problem = [&](std::vector<std::string> settings) {
    settings.insert(settings.end(),
                    {"audit.tokens_file=" + file, "audit.database.url=postgresql://u@h/d"});
    const Status status = check_for(*load_config({.settings = settings}), Role::kAudit);
    return status.ok() ? "" : status.error().message;
  };
  const std::string tenant = "audit.reconcile.tenant=t";
  const std::string client = "audit.reconcile.client_id=c";
  const std::string secret = "audit.reconcile.client_secret_file=" + file;
  const std::string token = "audit.reconcile.token_file=" + file;
  EXPECT_EQ(problem({tenant, client, secret}), "");
  EXPECT_EQ(problem({token}), "");
  EXPECT_THAT(problem({tenant, client}),
              HasSubstr("audit.reconcile.client_secret_file is missing beside it"));
  EXPECT_THAT(problem({secret}), HasSubstr("audit.reconcile.tenant is missing beside it"));
  EXPECT_THAT(problem({tenant, client, secret, token}),
              HasSubstr("cannot stand beside audit.reconcile.token_file"));

  const std::string list = "audit.hold_sync.list_file=" + directory_ + "/hold.csv";
  const std::string holds_token = "audit.hold_sync.token_file=" + file;
  const std::vector<std::string> application = {"audit.hold_sync.tenant=t",
                                                "audit.hold_sync.client_id=c",
                                                "audit.hold_sync.client_secret_file=" + file};
  std::vector<std::string> whole = application;
  whole.push_back(list);
  EXPECT_EQ(problem({list, holds_token}), "");
  EXPECT_EQ(problem(whole), "");
  EXPECT_THAT(problem({list}), HasSubstr("audit.hold_sync.token_file is missing beside it"));
  EXPECT_THAT(problem({holds_token}), HasSubstr("audit.hold_sync.list_file is missing beside it"));
  EXPECT_THAT(problem(application), HasSubstr("audit.hold_sync.list_file is missing beside it"));
  whole.push_back(holds_token);
  EXPECT_THAT(problem(whole), HasSubstr("cannot stand beside audit.hold_sync.token_file"));
  EXPECT_THAT(problem({list, "audit.hold_sync.client_id=c"}), HasSubstr("is missing beside it"));
  EXPECT_THAT(problem({"audit.hold_sync.holds=c"}), HasSubstr("not used without"));
}

TEST_F(ConfigTest, HoldsAreNamedByTheirIds) {
  const auto holds = [](const std::string& text) {
    return load_config({.settings = {"audit.hold_sync.holds=" + text}});
  };
  const auto both = holds("b0073e4e-4184-41c6-9eb7-8c8cc3e2288b,case_1/0053a61a3b6c");
  ASSERT_TRUE(both.ok()) << both.error().message;
  EXPECT_EQ(
      both->audit.hold_sync.holds,
      (std::vector<std::string>{"b0073e4e-4184-41c6-9eb7-8c8cc3e2288b", "case_1/0053a61a3b6c"}));
  EXPECT_TRUE(holds("")->audit.hold_sync.holds.empty());
  for (const char* text : {"/", "a/", "/b", "a/b/c", "a b", "a,", "a('b')", "../a", "a%2Fb"}) {
    EXPECT_FALSE(holds(text).ok()) << text;
  }
}

TEST_F(ConfigTest, SigningInIsConfiguredWholeOrNotAtAll) {
  const std::string file = write("tokens.yaml", "x");
  const auto problem = [&](std::vector<std::string> settings) {
    settings.insert(settings.end(),
                    {"audit.tokens_file=" + file, "audit.database.url=postgresql://u@h/d"});
    const Status status = check_for(*load_config({.settings = settings}), Role::kAudit);
    return status.ok() ? "" : status.error().message;
  };
  const std::string issuer = "audit.sign_in.issuer=https://login.example";
  const std::string audience = "audit.sign_in.audience=holdfast";
  const std::string tenant = "audit.sign_in.tenant=d3b07384-0000-4000-8000-000000000005";
  const std::string keys = "audit.sign_in.keys_url=https://login.example/keys";
  EXPECT_EQ(problem({issuer, audience, tenant, keys}), "");
  EXPECT_THAT(problem({issuer, audience, tenant}),
              HasSubstr("audit.sign_in.keys_url is missing beside it"));
  EXPECT_THAT(problem({keys}), HasSubstr("audit.sign_in.issuer is missing beside it"));
  EXPECT_THAT(problem({issuer, audience, tenant, "audit.sign_in.keys_url=http://login.example"}),
              HasSubstr("must begin with https://"));
  EXPECT_THAT(problem({issuer, audience, "audit.sign_in.tenant=contoso.com", keys}),
              HasSubstr("must be a GUID"));
}

TEST_F(ConfigTest, ARoleNeedsItsFilesToBeReadable) {
  const std::string file =
      write("h.yaml", "rules:\n  file: gone.yaml\nupstream: {ca_file: gone.crt}\n");
  const auto config = load_config({.file = file});
  ASSERT_TRUE(config.ok());
  const Status status = check_for(*config, Role::kCheck);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message, file + ":2: rules.file: the file " + directory_ +
                                        "/gone.yaml is missing or cannot be read");
  EXPECT_TRUE(check_for(*config, Role::kMigrate).error().message.starts_with("migrate.database"));
}

std::string read_project_file(const std::string& path) {
  std::ifstream stream(HOLDFAST_SOURCE_DIR "/" + path);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

TEST(ConfigExample, IsTheFileInTheTree) {
  EXPECT_EQ(example_yaml(), read_project_file("config/holdfast.example.yaml"))
      << "run: holdfast config example > config/holdfast.example.yaml";
}

TEST(ConfigExample, LoadsFitsTheSchemaAndNamesEveryKey) {
  const auto document = parse_yaml(example_yaml(), "example");
  ASSERT_TRUE(document.ok()) << document.error().message;
  const Status status = validate(*document, schema_json());
  EXPECT_TRUE(status.ok()) << status.error().message;
  const auto config = load_config({.file = HOLDFAST_SOURCE_DIR "/config/holdfast.example.yaml"});
  ASSERT_TRUE(config.ok()) << config.error().message;
  for (const Field& field : fields()) {
    EXPECT_FALSE(field.meaning.empty()) << field.path;
    const std::string key = field.path.substr(field.path.rfind('.') + 1);
    EXPECT_THAT(example_yaml(), HasSubstr(" " + key + ": ")) << field.path;
  }
}

TEST(ConfigSchema, IsTheFileInTheTree) {
  EXPECT_EQ(schema_json(), read_project_file("schema/config.schema.json"))
      << "run: holdfast config schema > schema/config.schema.json";
}

TEST(ConfigDump, ReadsBackAsTheSameConfig) {
  const auto config = load_config(
      {.environment = {{"HOLDFAST_PROXY__LISTEN", "[::1]:0"}},
       .settings = {"proxy.trusted_proxies=10.0.0.0/8,::1/128", "rules.file=/a: b #c.yaml",
                    "records.token_file=true", "proxy.tls.certificate_file=/a",
                    "proxy.tls.key_file=/b", "proxy.tls.client_certificates=required",
                    "proxy.tls.client_ca_file=/c", "identity.mode=mtls",
                    "identity.certificates=" + kBilling + ",URI:a://b/?c=d&e#f: " + kApp}});
  ASSERT_TRUE(config.ok()) << config.error().message;
  const std::string dump = dump_yaml(*config);
  EXPECT_THAT(dump, HasSubstr("listen: \"[::1]:0\"  # HOLDFAST_PROXY__LISTEN\n"));
  const std::string path = testing::TempDir() + "holdfast_dump_test.yaml";
  const auto again = load_text(path, dump);
  std::filesystem::remove(path);
  ASSERT_TRUE(again.ok()) << again.error().message;
  for (const Field& field : fields()) {
    if (field.path == "records.token_file") continue;  // A relative path.
    EXPECT_EQ(get_value(field, *config), get_value(field, *again)) << field.path;
  }
}

// Sets the key to the first of some values that it takes; false when none is news to it.
bool change(const Field& field, Config& config) {
  const nlohmann::json candidates = {"zz",     "https://zz", "zz:1",         "http://zz:1",
                                     3,        "3KiB",       "3s",           {"10.9.0.0/16"},
                                     {"zz"},   "error",      "optional",     "v2",
                                     "public", "sealed",     "mtls",         true,
                                     false,    {kBilling},   {kVerifierKey}, 1000};
  for (const nlohmann::json& value : candidates) {
    if (set_value(field, config, value).ok() && get_value(field, Config()) != value) return true;
  }
  return false;
}

TEST(ConfigTable, EveryRowHasItsOwnMember) {
  for (const Field& field : fields()) {
    Config config;
    ASSERT_TRUE(change(field, config)) << field.path;
    for (const Field& other : fields()) {
      const bool same = get_value(other, config) == get_value(other, Config());
      EXPECT_EQ(same, other.path != field.path) << field.path << " changes " << other.path;
    }
  }
}

}  // namespace
}  // namespace holdfast::config

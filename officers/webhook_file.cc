#include "officers/webhook_file.h"

#include <set>

#include "base/encoding.h"
#include "base/files.h"
#include "config/values.h"
#include "config/yaml.h"

namespace holdfast::officers {
namespace {

constexpr std::size_t kWebhookFileBytesMax = 64 * 1024;

constexpr std::string_view kWebhookSchema = R"({
  "$schema": "http://json-schema.org/draft-04/schema#",
  "type": "object",
  "required": ["webhooks"],
  "additionalProperties": false,
  "properties": {
    "webhooks": {
      "type": "array",
      "maxItems": 16,
      "items": {
        "type": "object",
        "required": ["name", "url"],
        "additionalProperties": false,
        "properties": {
          "name": { "type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,49}$" },
          "url": { "type": "string", "maxLength": 2048 },
          "secret": { "type": "string", "minLength": 16, "maxLength": 256 },
          "format": { "enum": ["json", "teams", "slack"] },
          "app": { "type": "string", "pattern": "^[^/ ]{1,100}/[^/ ]{1,100}$" }
        }
      }
    }
  }
})";

// What is told is not for everybody on the way.
bool is_private(std::string_view url) {
  const std::size_t host = url.find("://");
  if (host == std::string_view::npos) return false;
  return config::is_origin(url.substr(0, url.find_first_of("/?", host + 3)));
}

WebhookFormat format_named(const std::string& name) {
  if (name == "teams") return WebhookFormat::kTeams;
  return name == "slack" ? WebhookFormat::kSlack : WebhookFormat::kJson;
}

}  // namespace

Result<std::vector<WebhookTarget>> load_webhooks(const std::string& path) {
  const Result<std::string> text = read_file(path, kWebhookFileBytesMax, Readers::kOwnerOnly);
  if (!text.ok()) return text.error();
  return parse_webhooks(*text, path);
}

Result<std::vector<WebhookTarget>> parse_webhooks(std::string_view yaml, const std::string& file) {
  const Result<config::YamlDocument> document = config::parse_yaml(yaml, file);
  if (!document.ok()) return document.error();
  if (const Status valid = config::validate(*document, kWebhookSchema); !valid.ok())
    return valid.error();
  std::vector<WebhookTarget> targets;
  std::set<std::string> names;
  const nlohmann::json& list = document->value.at("webhooks");
  for (std::size_t i = 0; i < list.size(); ++i) {
    const auto refused = [&](const std::string& key, const char* why) {
      return Error{ErrorCode::kInvalid,
                   document->where("/webhooks/" + std::to_string(i) + "/" + key) + why};
    };
    WebhookTarget target{.name = list[i].at("name").get<std::string>(),
                         .url = list[i].at("url").get<std::string>(),
                         .secret = list[i].value("secret", ""),
                         .format = format_named(list[i].value("format", "json")),
                         .app = ascii_lower(list[i].value("app", ""))};
    if (!names.insert(target.name).second) return refused("name", "is used twice");
    if (!is_private(target.url)) {
      return refused("url",
                     "must begin with https://, or with http:// and an address of this machine");
    }
    if (target.format == WebhookFormat::kJson && target.secret.empty()) {
      return refused("secret", "is needed with the format json");
    }
    targets.push_back(std::move(target));
  }
  return targets;
}

}  // namespace holdfast::officers

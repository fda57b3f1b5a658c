#include "officers/record_json.h"

#include <nlohmann/json.hpp>

#include "base/encoding.h"

namespace holdfast::officers {
namespace {

nlohmann::json time_or_null(const std::optional<WallTime>& time) {
  return time ? nlohmann::json(to_rfc3339(*time)) : nlohmann::json();
}

}  // namespace

std::string record_json(const audit::FoundRecord& record) {
  std::string text = "{\"index\":" + std::to_string(record.index);
  if (record.malformed || !record.entry.starts_with('{')) {
    return text + ",\"malformed\":true,\"entry_base64\":\"" + to_base64(record.entry) + "\"}";
  }
  text += ',';
  text.append(record.entry, 1);
  return text;
}

std::string page_json(const audit::RecordPage& page, const audit::RecordQuery& query,
                      const std::string& next) {
  std::string text = "{\"value\":[";
  for (std::size_t i = 0; i < page.records.size(); ++i) {
    if (i > 0) text += ',';
    text += record_json(page.records[i]);
  }
  nlohmann::json dropped = nlohmann::json::array();
  for (const audit::IndexRange& range : page.dropped) {
    dropped.push_back({{"first", range.first}, {"until", range.until}});
  }
  nlohmann::json rest = {{"count", page.records.size()},     {"complete_to", page.complete_to},
                         {"log_size", page.log_size},        {"dropped", std::move(dropped)},
                         {"from", time_or_null(query.from)}, {"to", time_or_null(query.to)}};
  if (!next.empty()) rest["@odata.nextLink"] = next;
  text += "],";
  // `next` repeats the Host header, which need not be UTF-8.
  text += rest.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).substr(1);
  return text;
}

}  // namespace holdfast::officers

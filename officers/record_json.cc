#include "officers/record_json.h"

#include <nlohmann/json.hpp>

#include "audit/sealing.h"
#include "base/encoding.h"
#include "base/json.h"

namespace holdfast::officers {
namespace {

nlohmann::json time_or_null(const std::optional<WallTime>& time) {
  return time ? nlohmann::json(to_rfc3339(*time)) : nlohmann::json();
}

// The record with the values of its documents, and in its `sealed` what became of each. Where that
// cannot be, the entry's own bytes.
std::string opened_json(const audit::FoundRecord& record) {
  Result<nlohmann::json> parsed = parse_json(record.entry);
  if (!parsed.ok()) return record.entry;
  for (std::size_t i = 0; i < record.documents.size(); ++i) {
    const audit::FoundDocument& document = record.documents[i];
    const bool opened = audit::open_with(*parsed, i, document.bytes);
    if (!opened && !document.erased) continue;
    const nlohmann::json::json_pointer place("/sealed/" + std::to_string(i));
    if (!parsed->contains(place) || !parsed->at(place).is_object()) return record.entry;
    nlohmann::json& named = parsed->at(place);
    if (opened) named["document"] = document.bytes;
    if (document.erased) named["erased"] = true;
  }
  Result<std::string> text = canonical_json(*parsed);
  return text.ok() ? *std::move(text) : record.entry;
}

}  // namespace

std::string record_json(const audit::FoundRecord& record) {
  std::string text = "{\"index\":" + std::to_string(record.index);
  if (record.malformed || !record.entry.starts_with('{')) {
    return text + ",\"malformed\":true,\"entry_base64\":\"" + to_base64(record.entry) + "\"}";
  }
  text += ',';
  text.append(record.documents.empty() ? record.entry : opened_json(record), 1);
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

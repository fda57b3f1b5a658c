#include "proxy/recall_answer.h"

#include <algorithm>

namespace holdfast::proxy {
namespace {

constexpr std::size_t kNameBytesMax = 512;

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kNameBytesMax &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return c > ' ' && c < '\x7f' && c != '"' && c != ','; });
}

}  // namespace

std::optional<RecallAnswer> parse_recall_answer(std::string_view body) {
  constexpr std::string_view kHub = "recall request to Hub server ";
  constexpr std::string_view kId = ", MessageId is ";
  const std::size_t hub = body.find(kHub);
  if (hub == std::string_view::npos) return std::nullopt;
  const std::size_t hub_begin = hub + kHub.size();
  const std::size_t hub_end = body.find(kId, hub_begin);
  if (hub_end == std::string_view::npos) return std::nullopt;
  const std::size_t id_begin = hub_end + kId.size();
  const std::size_t id_end = body.find('"', id_begin);
  if (id_end == std::string_view::npos) return std::nullopt;
  const std::string_view hub_server = body.substr(hub_begin, hub_end - hub_begin);
  std::string_view message_id = body.substr(id_begin, id_end - id_begin);
  if (message_id.ends_with('.')) message_id.remove_suffix(1);  // The sentence's full stop.
  if (!is_name(hub_server) || !is_name(message_id)) return std::nullopt;
  return RecallAnswer{.hub_server = std::string(hub_server), .message_id = std::string(message_id)};
}

}  // namespace holdfast::proxy

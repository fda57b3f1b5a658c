// Graph's answer to a recall: 202 whose body claims to be JSON and is not. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace holdfast::proxy {

struct RecallAnswer {
  std::string hub_server;
  std::string message_id;  // Internet message id of the recall request.
};

// Reads {"Successfully submitted recall request to Hub server H, MessageId is M."}; nullopt when
// the text is something else. Tolerates white space, nothing more.
std::optional<RecallAnswer> parse_recall_answer(std::string_view body);

}  // namespace holdfast::proxy

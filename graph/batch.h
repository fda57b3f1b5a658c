// What is in a $batch envelope: every part classified as it would be on its own.
//
//   POST /v1.0/$batch {"requests":[{"id":"1","method":"GET","url":"/me"}]}
//
// Stricter than Graph where Graph might read a body differently than we do: duplicate keys, unknown
// shapes and names that differ from the documented ones in case only are errors, and an error means
// that nothing is forwarded. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "graph/classify.h"

namespace holdfast::graph {

constexpr std::size_t kBatchPartsMax = 20;

struct BatchPart {
  std::string id;
  std::string method;
  std::string target;  // The part's url under the batch's version: /v1.0/me/messages
  Classification classification;
};

// `version` as classify() found it for the envelope. kInvalid: the body is no batch Graph accepts,
// or one that could be read in two ways; the message says which part and why. Parts are in the
// order of the body. A rejected part is no error: its classification says so.
Result<std::vector<BatchPart>> classify_batch(std::string_view body,
                                              const std::optional<std::string>& version);

}  // namespace holdfast::graph

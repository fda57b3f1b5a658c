// The rule file as a value: loaded all or nothing, immutable afterwards, shared freely by threads.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace holdfast::approval {

enum class Effect { kAllow, kRequireApproval, kDeny };

std::string_view to_string(Effect effect);  // allow, require_approval, deny

// What a call that needs approval must bring along.
struct Requirements {
  std::size_t justification_min = 0;         // Characters; 0: none needed.
  std::vector<std::string> ticket_patterns;  // ECMAScript expressions, all of which must match.
};

struct RuleSetData;  // approval/rule_model.h: what decide() reads

class RuleSet {
 public:
  explicit RuleSet(std::shared_ptr<const RuleSetData> data) : data_(std::move(data)) {}

  const std::string& revision() const;
  // SHA-256, hex, over the rule file and the list files it names: one hash for all that decides.
  const std::string& sha256() const;
  const RuleSetData& data() const { return *data_; }

 private:
  std::shared_ptr<const RuleSetData> data_;
};

// Reads the file and the lists it names (relative to it), validates it against the JSON Schema,
// refuses what is not built by name, and runs the file's own tests; a file whose tests fail does not
// load. `now` is when the lists count as read. kInvalid: one problem a line, each with file, line
// and key.
Result<RuleSet> load_rules(const std::string& path, WallTime now);

}  // namespace holdfast::approval

// A C2SP tlog-policy file: which keys sign the log, who witnesses it, and how many of them must
// have cosigned a checkpoint before it is believed. Auditors and `holdfast audit` share one. Pure.
//
//   log audit.contoso.com/log+1f9…+AQ…
//   witness north north.example/w1+7d3…+BA… https://north.example/witness
//   witness south south.example/w1+a01…+BA… https://south.example/witness
//   group both all north south
//   quorum both
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "audit/checkpoint.h"
#include "audit/cosignature.h"
#include "base/result.h"

namespace holdfast::audit {

struct Witness {
  std::string name;  // In the policy only.
  WitnessKey key;
  std::string url;  // Its submission prefix; empty: not said.
};

class Policy {
 public:
  // kInvalid names the line. At most 1 MiB, 256 logs, and 256 witnesses and groups together.
  static Result<Policy> parse(std::string_view text);

  const std::vector<VerifierKey>& logs() const { return logs_; }
  const std::vector<Witness>& witnesses() const { return witnesses_; }
  std::vector<WitnessKey> witness_keys() const;

  // Whether these witnesses' word is enough. The cosignatures must have been verified.
  bool is_satisfied_by(std::span<const Cosignature> cosignatures) const;

 private:
  // A witness or a group, by the name that later lines know it by.
  struct Member {
    std::string name;
    std::optional<std::size_t> witness;  // Position in witnesses_; none: a group.
    std::size_t threshold = 0;
    std::vector<std::size_t> members;  // Positions in members_, all before this one.
    bool taken = false;                // By a group.
  };
  using Words = std::vector<std::string_view>;

  Status read(const Words& words);
  Status read_log(const Words& words);
  Status read_witness(const Words& words);
  Status read_group(const Words& words);
  Status read_quorum(const Words& words);
  std::optional<std::size_t> find(std::string_view name) const;
  Status name_is_free(std::string_view name) const;

  std::vector<VerifierKey> logs_;
  std::vector<Witness> witnesses_;
  std::vector<Member> members_;
  bool has_quorum_ = false;
  std::optional<std::size_t> quorum_;  // None: no witness is needed.
};

}  // namespace holdfast::audit

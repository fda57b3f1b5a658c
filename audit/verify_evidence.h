// Another part of verifying a log: what others have said of its checkpoints (audit/evidence.h),
// held against their keys. What holds becomes roots that the entries have to lead to
// (audit/verify.h), so that a log that goes back behind what a witness has seen is found out.
//
//   EvidenceCheck check({.origin = origin, .policy = policy, .timestamps = trust, .threads = 2});
//   for (std::uint64_t n = 0; …; ++n) check.add_file(n, bytes);  // As evidence/<N> holds them.
//   check.add_note(newest);                                      // Its own cosignatures.
//   EvidenceReport report = std::move(check).finish(tree_size);
//
// Pure, but for the threads it uses. Memory: 100 bytes for each checkpoint that was vouched for.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "audit/evidence.h"
#include "audit/policy.h"
#include "audit/verify.h"
#include "base/clock.h"
#include "base/timestamp.h"

namespace holdfast::audit {

struct EvidenceTrust {
  std::string origin;                          // The log's.
  std::optional<Policy> policy{};              // Whose cosignatures count; none: nobody's.
  std::optional<TimestampTrust> timestamps{};  // Whose time stamps; none: nobody's.
  unsigned threads = 1;
};

// What somebody has said of a checkpoint, and when, on their own clock.
struct Vouched {
  TreeHead head;
  WallTime time;
};

struct EvidenceReport {
  Faults faults;
  std::vector<SignedRoot> roots;
  std::uint64_t cosignatures = 0;      // That hold.
  std::uint64_t timestamps = 0;        // That hold.
  std::uint64_t unknown = 0;           // Of who is not known: not looked at.
  std::optional<Vouched> witnessed{};  // The largest that the policy is satisfied with.
  std::optional<Vouched> stamped{};    // The largest that a time stamp which holds is of.
};

class EvidenceCheck {
 public:
  explicit EvidenceCheck(EvidenceTrust trust);

  // File <N>, in their order.
  void add_file(std::uint64_t number, std::string_view bytes);
  // In the place of a file: it is there and cannot be read.
  void add_unread_file(std::string why) { report_.faults.add_general(std::move(why)); }
  // The checkpoint's cosignatures, if it is one; its own signature is checked elsewhere.
  void add_note(const std::string& note);

  // `tree_size`: of the newest checkpoint. Where a policy is given that asks for witnesses, or
  // whose time stamps count, and none has said anything that holds, that is a fault: who takes
  // records away takes what others said of them as well.
  EvidenceReport finish(std::uint64_t tree_size) &&;

 private:
  // What became of one piece.
  struct Heard {
    std::string wrong;                       // Empty: it holds, or nobody can say.
    std::optional<Cosignature> cosignature;  // One that holds.
    std::optional<WallTime> stamped;         // By a time stamp that holds.
  };
  using Head = std::pair<std::uint64_t, Sha256>;

  std::string text_of(const TreeHead& head) const;
  Heard hear(const Evidence& piece) const;
  Heard hear_cosignature(const Evidence& piece) const;
  std::vector<Heard> hear_all(const std::vector<Evidence>& pieces) const;
  void count(const Evidence& piece, Heard heard);
  void count_cosignature(const TreeHead& head, Cosignature cosignature);
  void count_timestamp(const TreeHead& head, WallTime time);
  void add_root(const TreeHead& head, std::string from);

  EvidenceTrust trust_;
  std::vector<WitnessKey> keys_;
  EvidenceReport report_;
  std::uint64_t last_file_pieces_ = kEvidenceInFile;
  // Of trees larger than the largest that the policy is satisfied with.
  std::map<Head, std::vector<Cosignature>> gathered_;
};

}  // namespace holdfast::audit

// Mailboxes, not spellings: finds every name of the mailbox that a request addresses, so that a
// hold on one name stops calls by any other (UPN, GUID, {guid}@{tenant}, alias, me).
//
// Asks Graph with the caller's own token and remembers the answer for at most ten minutes, counted
// from before the question was sent: a mailbox that gets a new name is known by its old ones for
// that long at most. Unknown is an answer and never remembered; rules treat it as restricting.
//
// An answer is believed only if
// - the caller is verified: the tenant it is remembered under is Graph's word, not a token's. Of
// one
//   verified by certificate it is the configuration's word, so answers are remembered for its token
//   alone;
// - it is a 200 that lists every kind of name (a caller who may not read proxyAddresses gets no
//   partial set: a hold by alias would slip through it), all of them within bounds;
// - the key asked about is among the names (for `me`: the caller's own object id), so that an
// answer
//   about something else, by whatever reading of the key, is unknown.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/task.h"
#include "graph/operation.h"
#include "identity/actor.h"
#include "identity/claims.h"
#include "identity/expiring_cache.h"
#include "identity/graph_lookup.h"

namespace holdfast::identity {

// Lower-cased, sorted, each once: id, userPrincipalName, mail, proxyAddresses without "smtp:"
// (those of other kinds are no mailbox names). At most kNamesMax of at most kNameBytesMax.
using Names = std::vector<std::string>;

inline constexpr std::size_t kNamesMax = 1'000;
inline constexpr std::size_t kNameBytesMax = 1'024;
inline constexpr std::chrono::minutes kNamesAgeMax{10};

// Shared by all workers: safe to call from any thread. The lookup is the calling worker's own.
class MailboxDirectory {
 public:
  // The clock must outlive the directory.
  // `names_age_max` beyond kNamesAgeMax counts as kNamesAgeMax; 0 remembers nothing.
  explicit MailboxDirectory(const Clock& clock,
                            std::chrono::milliseconds names_age_max = kNamesAgeMax,
                            std::size_t mailboxes_max = 10'000)
      : clock_(clock),
        names_age_max_(std::min<std::chrono::milliseconds>(names_age_max, kNamesAgeMax)),
        known_(mailboxes_max) {}

  // Every name of the mailbox; nullopt: unknown. The arguments must live until the task is done.
  Task<std::optional<Names>> resolve(GraphLookup& graph, const graph::Mailbox& mailbox,
                                     const Actor& actor, const BearerToken& token);

 private:
  const Clock& clock_;
  const std::chrono::milliseconds names_age_max_;
  ExpiringCache<Names, SteadyTime> known_;  // By tenant and question; synchronises itself.
};

// The id among a mailbox's names.
std::optional<std::string> mailbox_id(std::span<const std::string> names);

// Whether these are the names of the actor's own mailbox. nullopt: the actor is no verified user,
// or the names are unknown.
std::optional<bool> is_own_mailbox(const std::optional<Names>& names, const Actor& actor);

}  // namespace holdfast::identity

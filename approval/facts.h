// What the rules may ask about one guarded call. Plain values, gathered before deciding; anything
// that could not be established is unknown (nullopt), and unknown always restricts.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "identity/actor.h"

namespace holdfast::approval {

// Every name a mailbox answers to, lower-cased: id, userPrincipalName, mail, proxyAddresses without
// their "smtp:" prefix. Lists are compared against all of them.
struct MailboxNames {
  std::vector<std::string> names;
};

// The mailboxes that lose data.
struct AffectedMailboxes {
  std::vector<MailboxNames> known;
  bool complete = false;  // Whether those are all of them.
};

// What is known of the item from reading it before it is destroyed: each fact on its own.
struct ItemFacts {
  std::optional<std::chrono::seconds> message_age;     // Since received; for a recall, since sent.
  std::optional<std::vector<std::string>> sender;      // Addresses in From and Sender; organizer.
  std::optional<std::vector<std::string>> recipients;  // To, Cc, Bcc; an event's attendees.
  std::optional<std::vector<std::string>> categories;
  std::optional<std::int64_t> size_bytes;
};

struct Facts {
  std::string action;                                              // graph::Operation::action
  std::string resource;                                            // graph::Operation::resource
  identity::ActorKind actor_kind = identity::ActorKind::kUnknown;  // kUnknown counts as unknown.
  std::optional<std::string> tenant;
  std::optional<std::string> user;  // The user's object id; unknown for apps' calls.
  std::optional<std::string> app;   // appid of the application making the call.
  std::optional<std::vector<std::string>>
      groups;                                     // Never in Graph tokens: unknown until looked up.
  std::optional<std::vector<std::string>> roles;  // App roles and directory role template ids.
  std::optional<MailboxNames> mailbox;            // Whose data is addressed.
  std::optional<bool> own_mailbox;                // Whether that is the calling user's own.
  std::optional<std::string> folder;              // Innermost folder of the path: name or id.
  std::optional<std::string> source_ip;
  AffectedMailboxes affected;  // See affected_by_path; a recall reaches recipients too.
  ItemFacts item;
  WallTime now{};  // The epoch counts as unknown.
};

// What action and mailbox alone say: the mailbox itself, and nobody else but for a recall, which
// removes the message from its recipients' mailboxes.
AffectedMailboxes affected_by_path(const Facts& facts);

}  // namespace holdfast::approval

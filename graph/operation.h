// What a Graph request does to a mailbox, as plain values: the vocabulary that classifying,
// deciding, recording and searching share.
#pragma once

#include <optional>
#include <string>

namespace holdfast::graph {

enum class RequestClass {
  kPassThrough,  // Forwarded untouched, not recorded.
  kGuarded,      // Destroys or recalls: identified, decided, recorded.
  kBatch,        // A $batch envelope: its parts have to be looked at.
  kRejected,     // Some plausible reading is guarded and another is not: never forwarded.
};

enum class MailboxKind { kNone, kMe, kUser, kGroup };

// Whose data a path addresses. The key is percent-decoded, its case kept; empty for kMe and kNone.
struct Mailbox {
  MailboxKind kind = MailboxKind::kNone;
  std::string key;
  bool operator==(const Mailbox&) const = default;
};

struct Operation {
  std::string action;    // permanentDelete, recall, hardDelete, remediate or purgeData.
  std::string resource;  // Graph's type name: message, event, contact, outlookTask, mailFolder, …
  Mailbox mailbox;
  // The path reaches the item through something that other mailboxes may be shared into, such as
  // calendars/{id}: the addressed mailbox need not be the one that loses data.
  bool may_be_shared = false;
  std::optional<std::string> item;     // The id acted on, percent-decoded, case kept.
  std::optional<std::string> folder;   // The innermost mail, contact or task folder of the path.
  std::optional<std::string> version;  // v1.0, beta, …: lower case; nullopt when the path has none.
  // One spelling for all spellings of this call: decoded, lower-case words, ids as they are,
  // version included. For comparing calls, never for sending.
  std::string canonical_path;
};

}  // namespace holdfast::graph

// From record to entry: the exact bytes that are hashed, stored and exported, and never written
// again in another form. docs/audit_format.md describes them.
//
// Pure functions and values, but for the salts of sealed documents.
#pragma once

#include <string>
#include <string_view>

#include "audit/record.h"
#include "audit/sealing.h"
#include "base/clock.h"
#include "base/result.h"

namespace holdfast::audit {

inline constexpr std::size_t kEntryBytesMax = 64 * 1024 - 1;  // What an entry bundle can hold.

// The PostgreSQL login that writes; it decides which kinds it may write.
enum class WriterRole { kProxy, kAudit, kRetention };

std::string_view to_string(WriterRole role);  // proxy, audit, retention

// Whether the database lets that role write that kind.
bool may_write(WriterRole role, Kind kind);

struct Writer {
  Uuid id;
  WriterRole role = WriterRole::kProxy;
};

// An entry that only lacks its time. The time is set last, where entries are put in order, so that
// one writer's times never run backwards in the log.
struct Entry {
  Uuid id;
  Kind kind = Kind::kSystem;
  Uuid operation_id;  // All zero: the entry names none.
  std::string bytes;
  ApprovalStep approval_step = ApprovalStep::kNone;
  bool is_limited = false;                  // See Record.
  std::int64_t generation = 0;              // See Record.
  std::vector<SealedDocument> documents{};  // As its member `sealed` names them.

  void set_time(WallTime time);
  // As it was set, and all zeros before that. Compares as times do; valid while `bytes` is.
  std::string_view time() const;
};

// kInvalid: the content is no canonical JSON (a float, an integer too large, text that is not
// UTF-8) or uses a member's name that the log gives out itself. kLimit: over kEntryBytesMax, its
// sealed documents included.
Result<Entry> make_entry(Record record, const Uuid& id, const Writer& writer);

// What a spool keeps of an entry: its bytes or, where it has sealed documents, an object with both.
std::string spooled_form(const Entry& entry);
inline constexpr std::size_t kSpooledBytesMax = 4 * kEntryBytesMax;

// The entry that comes back from a spool: an outcome, which ends the claim of an approval that it
// names, or a reconciliation. kInvalid: it is none.
Result<Entry> read_spooled(std::string bytes);

// A record's content back from its entry, with the values of the documents that the entry has here.
// Empty when the bytes are no entry.
nlohmann::json content_of(const Entry& entry);

// Of a record that repeats what that content says. Its own `sealed` must not be repeated.
PersonalData personal_data_of(const nlohmann::json& content);

// The terminal record of an intent that this log, and not the caller, ends: it repeats what the
// intent says of the call.
Record settled_outcome(const Uuid& operation_id, const nlohmann::json& intent_content,
                       CallResult result, std::string_view reason);

// The same as an entry. An intent that cannot be repeated, because it is not one that Holdfast
// writes, is ended without what it says: others wait behind it.
Result<Entry> make_settled(const Entry& intent, CallResult result, std::string_view reason,
                           const Uuid& id, const Writer& writer);

// What an outcome that came too late becomes.
Record late_outcome(const Uuid& operation_id, const nlohmann::json& outcome_content);

}  // namespace holdfast::audit

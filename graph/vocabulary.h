// The part of Graph's schema that matters here: which types a path may pass on its way to something
// that can be destroyed or recalled, and which navigation leads from one to the next.
//
// Constant tables, no state.
#pragma once

#include <cstdint>
#include <string_view>

namespace holdfast::graph {

enum class EntityType : std::uint8_t {
  kRoot,   // Nothing walked yet.
  kOther,  // Something that neither holds nor is anything guarded, or that is not known.
  kUser,
  kGroup,
  kMessage,
  kEvent,
  kContact,
  kCalendar,
  kCalendarGroup,
  kMailFolder,
  kContactFolder,
  kOutlookUser,
  kOutlookTask,
  kOutlookTaskFolder,
  kOutlookTaskGroup,
  kDrive,
  kDriveItem,
  kShare,
  kSite,
  kList,
  kListItem,
  kStorage,
  kFileStorage,
  kFileStorageContainer,
  kServicePrincipal,
  kChat,  // Chats, teams and channels: their messages are chatMessages.
  kChatMessage,
  kAdmin,
  kExchange,
  kExchangeMailbox,
  kMailboxFolder,
  kMailboxItem,
  kAnalyzedEmail,
  kEdiscoveryCase,
  kEdiscoverySearch,
};

enum class Arity : std::uint8_t {
  kSingle,
  kCollection,       // The next segment is a key.
  kMaybeCollection,  // A name the tables do not know that looks like a plural.
};

// What following a navigation does to the question whose mailbox is addressed.
enum class Ownership : std::uint8_t {
  kKeep,    // Still within the same mailbox or drive.
  kShared,  // Others' things may be shared into here.
  kLeave,   // To somebody or something else.
};

struct Navigation {
  EntityType type = EntityType::kOther;
  Arity arity = Arity::kSingle;
  Ownership ownership = Ownership::kLeave;
  bool known = false;  // In the tables, not guessed.
};

// From an entity of type `from` (kRoot at the beginning) by the property `word` (lower case).
Navigation navigate(EntityType from, std::string_view word);

// Whether a path may begin with the word: users, me, drives, … So anything before it is a version.
bool is_root(std::string_view word);

// Graph's name of a type that permanentDelete binds to; empty for all others.
std::string_view resource_name(EntityType type);

// Whether an operation's resource can be of that name, in any case.
bool is_resource_name(std::string_view name);

// The type that a cast to microsoft.graph.`word` yields; `from` when the cast refines it.
EntityType cast(EntityType from, std::string_view word);

// Properties of a user or group that are no event's id, whatever follows them.
bool is_owner_property(std::string_view word);

}  // namespace holdfast::graph

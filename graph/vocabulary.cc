#include "graph/vocabulary.h"

#include <algorithm>
#include <array>

#include "base/encoding.h"

namespace holdfast::graph {
namespace {

using enum EntityType;
using enum Arity;
using enum Ownership;

struct Edge {
  std::string_view word;
  EntityType from;
  EntityType to;
  Arity arity;
  Ownership ownership;
};

// Sorted by word (a static_assert below insists). Several edges of one word differ in `from`.
constexpr auto kEdges = std::to_array<Edge>({
    {"admin", kRoot, kAdmin, kSingle, kLeave},
    {"bundles", kDrive, kDriveItem, kCollection, kShared},
    {"calendar", kEvent, kCalendar, kSingle, kKeep},
    {"calendar", kGroup, kCalendar, kSingle, kKeep},
    {"calendar", kUser, kCalendar, kSingle, kKeep},
    {"calendargroups", kUser, kCalendarGroup, kCollection, kShared},
    {"calendars", kCalendarGroup, kCalendar, kCollection, kShared},
    {"calendars", kGroup, kCalendar, kCollection, kShared},
    {"calendars", kUser, kCalendar, kCollection, kShared},
    {"calendarview", kCalendar, kEvent, kCollection, kKeep},
    {"calendarview", kGroup, kEvent, kCollection, kKeep},
    {"calendarview", kUser, kEvent, kCollection, kKeep},
    {"channels", kChat, kChat, kCollection, kLeave},
    {"childfolders", kContactFolder, kContactFolder, kCollection, kKeep},
    {"childfolders", kMailFolder, kMailFolder, kCollection, kKeep},
    {"childfolders", kMailboxFolder, kMailboxFolder, kCollection, kKeep},
    {"children", kDriveItem, kDriveItem, kCollection, kShared},
    {"contactfolders", kUser, kContactFolder, kCollection, kKeep},
    {"contacts", kContactFolder, kContact, kCollection, kKeep},
    {"contacts", kUser, kContact, kCollection, kKeep},
    {"containers", kFileStorage, kFileStorageContainer, kCollection, kLeave},
    {"deletedcontainers", kFileStorage, kFileStorageContainer, kCollection, kLeave},
    {"directreports", kUser, kUser, kCollection, kLeave},
    {"event", kMessage, kEvent, kSingle, kKeep},
    {"events", kCalendar, kEvent, kCollection, kKeep},
    {"events", kGroup, kEvent, kCollection, kKeep},
    {"events", kUser, kEvent, kCollection, kKeep},
    {"exceptionoccurrences", kEvent, kEvent, kCollection, kKeep},
    {"exchange", kAdmin, kExchange, kSingle, kLeave},
    {"filestorage", kStorage, kFileStorage, kSingle, kLeave},
    {"folders", kExchangeMailbox, kMailboxFolder, kCollection, kKeep},
    {"following", kDrive, kDriveItem, kCollection, kShared},
    {"instances", kEvent, kEvent, kCollection, kKeep},
    {"items", kDrive, kDriveItem, kCollection, kShared},
    {"items", kExchangeMailbox, kMailboxItem, kCollection, kKeep},
    {"items", kList, kListItem, kCollection, kLeave},
    {"items", kMailboxFolder, kMailboxItem, kCollection, kKeep},
    {"items", kShare, kDriveItem, kCollection, kLeave},
    {"list", kDrive, kList, kSingle, kLeave},
    {"list", kShare, kList, kSingle, kLeave},
    {"listitem", kDriveItem, kListItem, kSingle, kLeave},
    {"listitem", kShare, kListItem, kSingle, kLeave},
    {"lists", kSite, kList, kCollection, kLeave},
    {"mailboxes", kExchange, kExchangeMailbox, kCollection, kLeave},
    {"mailfolders", kUser, kMailFolder, kCollection, kKeep},
    {"manager", kUser, kUser, kSingle, kLeave},
    {"me", kRoot, kUser, kSingle, kKeep},
    {"members", kGroup, kUser, kCollection, kLeave},
    {"message", kChat, kChatMessage, kSingle, kLeave},
    {"messages", kChat, kChatMessage, kCollection, kLeave},
    {"messages", kMailFolder, kMessage, kCollection, kKeep},
    {"messages", kUser, kMessage, kCollection, kKeep},
    {"outlook", kUser, kOutlookUser, kSingle, kKeep},
    {"owners", kGroup, kUser, kCollection, kLeave},
    {"primarychannel", kChat, kChat, kSingle, kLeave},
    {"replies", kChatMessage, kChatMessage, kCollection, kLeave},
    {"root", kDrive, kDriveItem, kSingle, kShared},
    {"root", kShare, kDriveItem, kSingle, kLeave},
    {"searches", kEdiscoveryCase, kEdiscoverySearch, kCollection, kLeave},
    {"serviceprincipals", kRoot, kServicePrincipal, kCollection, kLeave},
    {"site", kShare, kSite, kSingle, kLeave},
    {"special", kDrive, kDriveItem, kCollection, kShared},
    {"storage", kRoot, kStorage, kSingle, kLeave},
    {"taskfolders", kOutlookTaskGroup, kOutlookTaskFolder, kCollection, kKeep},
    {"taskfolders", kOutlookUser, kOutlookTaskFolder, kCollection, kKeep},
    {"taskgroups", kOutlookUser, kOutlookTaskGroup, kCollection, kKeep},
    {"tasks", kOutlookTaskFolder, kOutlookTask, kCollection, kKeep},
    {"tasks", kOutlookUser, kOutlookTask, kCollection, kKeep},
    {"transitivemembers", kGroup, kUser, kCollection, kLeave},
    {"transitivereports", kUser, kUser, kCollection, kLeave},
});

// From wherever. The schema reaches these from many types, and they lead to one type only.
constexpr auto kFromAnywhere = std::to_array<Edge>({
    {"analyzedemails", kOther, kAnalyzedEmail, kCollection, kLeave},
    {"chats", kOther, kChat, kCollection, kLeave},
    {"drive", kOther, kDrive, kSingle, kShared},
    {"driveitem", kOther, kDriveItem, kSingle, kLeave},
    {"drives", kOther, kDrive, kCollection, kShared},
    {"ediscoverycases", kOther, kEdiscoveryCase, kCollection, kLeave},
    {"groups", kOther, kGroup, kCollection, kLeave},
    {"joinedteams", kOther, kChat, kCollection, kLeave},
    {"pinnedmessages", kOther, kChat, kCollection, kLeave},
    {"shares", kOther, kShare, kCollection, kLeave},
    {"sites", kOther, kSite, kCollection, kLeave},
    {"team", kOther, kChat, kSingle, kLeave},
    {"teams", kOther, kChat, kCollection, kLeave},
    {"users", kOther, kUser, kCollection, kLeave},
});

constexpr auto kRoots = std::to_array<std::string_view>({
    "admin",
    "applications",
    "chats",
    "communications",
    "compliance",
    "connections",
    "contacts",
    "directory",
    "directoryobjects",
    "drive",
    "drives",
    "education",
    "external",
    "groups",
    "groupsettings",
    "identitygovernance",
    "me",
    "organization",
    "planner",
    "security",
    "serviceprincipals",
    "shares",
    "sites",
    "storage",
    "subscriptions",
    "teams",
    "users",
});

// Names of collections that do not look like plurals, and of single things that do.
constexpr auto kOddCollections =
    std::to_array<std::string_view>({"memberof", "people", "transitivememberof"});
constexpr auto kOddSingles = std::to_array<std::string_view>({
    "analytics",
    "communications",
    "identitygovernance",
    "insights",
    "mailboxsettings",
    "permissiongrantpolicies",
    "policies",
    "reports",
    "settings",
    "solutions",
});
constexpr auto kOwnerProperties = std::to_array<std::string_view>({
    "activities",
    "agreementacceptances",
    "analytics",
    "approleassignments",
    "authentication",
    "calendarpermissions",
    "cloudpcs",
    "conversations",
    "createdobjects",
    "extensions",
    "followedsites",
    "inferenceclassification",
    "informationprotection",
    "insights",
    "licensedetails",
    "mailboxsettings",
    "manageddevices",
    "memberof",
    "notifications",
    "oauth2permissiongrants",
    "onenote",
    "onlinemeetings",
    "ownedobjects",
    "owneddevices",
    "people",
    "permissiongrants",
    "photo",
    "photos",
    "planner",
    "presence",
    "print",
    "profile",
    "registereddevices",
    "scopedrolememberof",
    "security",
    "settings",
    "solutions",
    "sponsors",
    "teamwork",
    "threads",
    "todo",
    "transitivememberof",
});

template <class Table>
constexpr bool is_sorted_by_word(const Table& table) {
  return std::ranges::is_sorted(table, {}, &Edge::word);
}
static_assert(is_sorted_by_word(kEdges) && is_sorted_by_word(kFromAnywhere));

template <class Table>
bool contains(const Table& table, std::string_view word) {
  return std::ranges::find(table, word) != table.end();
}

Navigation by(const Edge& edge) {
  return {.type = edge.to, .arity = edge.arity, .ownership = edge.ownership, .known = true};
}

}  // namespace

Navigation navigate(EntityType from, std::string_view word) {
  for (auto edge = std::ranges::lower_bound(kEdges, word, {}, &Edge::word);
       edge != kEdges.end() && edge->word == word; ++edge) {
    if (edge->from == from) return by(*edge);
  }
  const auto anywhere = std::ranges::lower_bound(kFromAnywhere, word, {}, &Edge::word);
  if (anywhere != kFromAnywhere.end() && anywhere->word == word) return by(*anywhere);
  if (from == kSite && word == "getbypath") return {.type = kSite, .known = true};
  const bool plural = word.size() > 2 && word.ends_with('s') && !contains(kOddSingles, word);
  return {.arity = plural || contains(kOddCollections, word) ? kMaybeCollection : kSingle};
}

bool is_root(std::string_view word) {
  return contains(kRoots, word);
}

bool is_resource_name(std::string_view name) {
  constexpr std::array<std::string_view, 14> kNames = {"message",          "event",
                                                       "contact",          "calendar",
                                                       "mailFolder",       "contactFolder",
                                                       "driveItem",        "fileStorageContainer",
                                                       "outlookTask",      "outlookTaskFolder",
                                                       "servicePrincipal", "mailboxItem",
                                                       "analyzedEmail",    "ediscoverySearch"};
  return std::ranges::any_of(kNames,
                             [name](std::string_view known) { return ascii_iequals(known, name); });
}

std::string_view resource_name(EntityType type) {
  switch (type) {
    case kMessage:
      return "message";
    case kEvent:
      return "event";
    case kContact:
      return "contact";
    case kCalendar:
      return "calendar";
    case kMailFolder:
      return "mailFolder";
    case kContactFolder:
      return "contactFolder";
    case kDriveItem:
      return "driveItem";
    case kFileStorageContainer:
      return "fileStorageContainer";
    case kOutlookTask:
      return "outlookTask";
    case kOutlookTaskFolder:
      return "outlookTaskFolder";
    case kServicePrincipal:
      return "servicePrincipal";
    default:
      return {};
  }
}

EntityType cast(EntityType from, std::string_view word) {
  if (!resource_name(from).empty() || from == kChatMessage) return from;
  struct Cast {
    std::string_view word;
    EntityType type;
  };
  static constexpr auto kCasts = std::to_array<Cast>({
      {"user", kUser},
      {"group", kGroup},
      {"serviceprincipal", kServicePrincipal},
      {"message", kMessage},
      {"eventmessage", kMessage},
      {"eventmessagerequest", kMessage},
      {"eventmessageresponse", kMessage},
      {"calendarsharingmessage", kMessage},
      {"event", kEvent},
      {"contact", kContact},
      {"driveitem", kDriveItem},
  });
  const auto found = std::ranges::find(kCasts, word, &Cast::word);
  return found == kCasts.end() ? from : found->type;
}

bool is_owner_property(std::string_view word) {
  return contains(kOwnerProperties, word);
}

}  // namespace holdfast::graph

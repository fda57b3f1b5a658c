#include "graph/classify.h"

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

namespace holdfast::graph {
namespace {

// What a request must come to, in one word: the action when guarded, else the class.
struct Shape {
  const char* name;
  const char* method;
  std::string target;
  const char* expected;
  std::string header;  // "name: value"; empty for none.
};

std::string verdict(const Classification& c) {
  return c.request_class == RequestClass::kGuarded ? c.operation->action
                                                   : std::string(to_string(c.request_class));
}

Classification classify_case(const Shape& c) {
  std::vector<HeaderView> headers;
  const std::string_view header = c.header;
  if (const std::size_t colon = header.find(": "); colon != std::string_view::npos) {
    headers.push_back({.name = header.substr(0, colon), .value = header.substr(colon + 2)});
  }
  return classify(
      {.method = c.method, .target = c.target, .headers = headers, .body = std::nullopt});
}

template <std::size_t N>
void check(const Shape (&cases)[N]) {
  for (const Shape& c : cases) {
    const Classification result = classify_case(c);
    EXPECT_EQ(verdict(result), c.expected)
        << c.name << ": " << c.method << " " << c.target << " (" << result.reason << ")";
    EXPECT_FALSE(result.reason.empty()) << c.name;
  }
}

constexpr const char* kDelete = "permanentDelete";
constexpr const char* kRecall = "recall";
constexpr const char* kPass = "passthrough";
constexpr const char* kReject = "rejected";

TEST(Classify, SpellingsOfTheActionThatODataAccepts) {
  const std::string m = "/v1.0/me/messages/m1/";
  check({
      {"plain", "POST", m + "permanentDelete", kDelete, ""},
      {"capitals", "POST", m + "PERMANENTDELETE", kDelete, ""},
      {"parentheses", "POST", m + "permanentDelete()", kDelete, ""},
      {"encoded parentheses", "POST", m + "permanentDelete%28%29", kDelete, ""},
      {"half encoded parentheses", "POST", m + "permanentDelete(%29", kDelete, ""},
      {"qualified", "POST", m + "microsoft.graph.permanentDelete", kDelete, ""},
      {"qualified in capitals", "POST", m + "MICROSOFT.GRAPH.PermanentDelete()", kDelete, ""},
      {"alias", "POST", m + "graph.permanentDelete", kDelete, ""},
      {"encoded dot", "POST", m + "graph%2epermanentDelete", kDelete, ""},
      {"encoded letter", "POST", m + "%70ermanentDelete", kDelete, ""},
      {"all encoded", "POST", m + "%72%65%63%61%6c%6C", kRecall, ""},
      {"recall on v1.0", "POST", m + "recall", kRecall, ""},
      {"recall qualified", "POST", m + "microsoft.graph.recall()", kRecall, ""},
      {"query", "POST", m + "permanentDelete?x=1&y=/z", kDelete, ""},
      {"empty query", "POST", m + "permanentDelete?", kDelete, ""},
      {"trailing slash", "POST", m + "permanentDelete/", kDelete, ""},
      {"trailing slashes", "POST", m + "permanentDelete///", kDelete, ""},
      {"empty segments", "POST", "//v1.0//me///messages//m1//permanentDelete", kDelete, ""},
      {"trailing lone dollar", "POST", m + "permanentDelete/$", kDelete, ""},
      {"trailing encoded dollar", "POST", m + "permanentDelete/%24", kDelete, ""},
      {"trailing encoded slash", "POST", m + "permanentDelete/%2F", kDelete, ""},
      {"lone dollar before", "POST", m + "$/permanentDelete", kDelete, ""},
      {"dot", "POST", m + "./permanentDelete", kDelete, ""},
      {"trailing dot segment", "POST", m + "permanentDelete/.", kDelete, ""},
      {"there and back", "POST", m + "x/../permanentDelete", kDelete, ""},
      {"after and back", "POST", m + "permanentDelete/x/..", kDelete, ""},
      {"encoded dot segments", "POST", m + "permanentDelete/x/%2e%2E", kDelete, ""},
      {"half encoded dot segment", "POST", m + "permanentDelete/x/.%2e", kDelete, ""},
      {"cast before", "POST", m + "microsoft.graph.eventMessage/permanentDelete", kDelete, ""},
      {"two casts", "POST", m + "graph.eventMessage/graph.message/permanentDelete", kDelete, ""},
      {"each", "POST", "/me/messages/$each/permanentDelete", kDelete, ""},
      {"filtered each", "POST", "/me/messages/$filter(subject%20eq%20'x')/$each/permanentDelete",
       kDelete, ""},
      {"filtered", "POST", "/me/messages/$filter(@f)/permanentDelete", kDelete, ""},
  });
}

TEST(Classify, PathsToTheItemThatODataAccepts) {
  check({
      {"parenthesised keys", "POST", "/v1.0/users('u')/messages('m')/permanentDelete", kDelete, ""},
      {"encoded quotes", "POST", "/v1.0/users(%27u%27)/messages(%27m%27)/recall", kRecall, ""},
      {"all encoded", "POST", "/users%28%27u%27%29/messages%28%27m%27%29/recall", kRecall, ""},
      {"named key", "POST", "/users(id='u')/messages(id='m')/permanentDelete", kDelete, ""},
      {"slash in quotes", "POST", "/me/messages('a/b')/permanentDelete", kDelete, ""},
      {"doubled quote", "POST", "/users('o''brien@x')/messages/m/permanentDelete", kDelete, ""},
      {"lone apostrophe", "POST", "/users/o'brien@x/messages/m/permanentDelete", kDelete, ""},
      {"slash in id", "POST", "/users/u%40x.com/messages/AAMk%2F%3D/permanentDelete", kDelete, ""},
      {"id in base64", "POST", "/me/messages/AA+Mk_x-y==/permanentDelete", kDelete, ""},
      {"no version", "POST", "/me/messages/m/recall", kRecall, ""},
      {"version of another kind", "POST", "/v2.0/me/messages/m/recall", kRecall, ""},
      {"version by another name", "POST", "/canary/me/messages/m/recall", kRecall, ""},
      {"myorganization", "POST", "/v1.0/myOrganization/users/u/messages/m/recall", kRecall, ""},
      {"tenant", "POST", "/v1.0/contoso.com/users/u/messages/m/recall", kRecall, ""},
      {"unknown root", "POST", "/v1.0/foo/bars/b/permanentDelete", kDelete, ""},
      {"unknown single", "POST", "/v1.0/foo/permanentDelete", kDelete, ""},
      {"only the action", "POST", "/permanentDelete", kDelete, ""},
      {"on the user", "POST", "/v1.0/me/permanentDelete", kDelete, ""},
      {"chat message", "POST", "/v1.0/chats/c/messages/m/permanentDelete", kDelete, ""},
      {"channel message", "POST", "/v1.0/teams/t/channels/c/messages/m/recall", kRecall, ""},
      {"user called permanentDelete", "POST", "/users/permanentDelete/messages/m/recall", kRecall,
       ""},
      {"message called permanentDelete", "POST", "/me/messages/permanentDelete/recall", kRecall,
       ""},
      {"dollar key", "POST", "/me/messages/$x/permanentDelete", kDelete, ""},
      {"user called graph.x", "POST", "/users/graph.x@contoso.com/messages/m/recall", kRecall, ""},
      {"file by path", "POST", "/drives/d/root:/a%20b/c%23d.txt:/permanentDelete", kDelete, ""},
      {"file with ;", "POST", "/drives/d/root:/a;b.txt:/permanentDelete", kDelete, ""},
      {"file with %", "POST", "/drives/d/root:/100%25.txt:/permanentDelete", kDelete, ""},
      {"file with parentheses", "POST", "/drives/d/root:/Bob's%20(it's).txt:/permanentDelete",
       kDelete, ""},
      {"file called recall", "POST", "/drives/d/root:/recall:/permanentDelete", kDelete, ""},
      {"encoded colons", "POST", "/drives/d/root%3A/a.txt%3A/permanentDelete", kDelete, ""},
      {"relative to an item", "POST", "/drives/d/items/i:/a.txt:/permanentDelete", kDelete, ""},
      {"service principal by app", "POST", "/servicePrincipals(appId='a')/permanentDelete", kDelete,
       ""},
  });
}

TEST(Classify, WhatOnlySomeServersTakeForGuardedIsRejected) {
  const std::string m = "/v1.0/me/messages/m1/";
  check({
      {"fragment", "POST", m + "permanentDelete#f", kReject, ""},
      {"fragment in query", "POST", m + "permanentDelete?x#f", kReject, ""},
      {"fragment before the action", "POST", "/v1.0/me/messages/m1#/permanentDelete", kReject, ""},
      {"encoded backslash", "POST", "/v1.0/me/messages/m1%5CpermanentDelete", kReject, ""},
      {"backslash", "POST", R"(/v1.0/me/messages/m1\permanentDelete)", kReject, ""},
      {"backslashes", "POST", R"(\v1.0\me\messages\m1\permanentDelete)", kReject, ""},
      {"backslash in the id", "POST", "/me/messages/m%5C1/permanentDelete", kReject, ""},
      {"encoded slash", "POST", "/me/messages/m1%2FpermanentDelete", kReject, ""},
      {"all slashes encoded", "POST", "/v1.0%2Fme%2Fmessages%2Fm1%2Frecall", kReject, ""},
      {"encoded slash, more after", "POST", "/me/messages/m1%2Frecall/$value", kReject, ""},
      {"encoded twice", "POST", m + "%2570ermanentDelete", kReject, ""},
      {"encoded three times", "POST", m + "%252570ermanentDelete", kReject, ""},
      {"slash encoded twice", "POST", "/me/messages/m1%252FpermanentDelete", kReject, ""},
      {"id encoded twice", "POST", "/me/messages/A%252FB/permanentDelete", kReject, ""},
      {"mailbox encoded twice", "POST", "/users/ceo%2540x.com/messages/m/recall", kReject, ""},
      {"hidden dot segments", "POST", "/users/a/messages/..%2F..%2Fb%2Fmessages%2Fm/recall",
       kReject, ""},
      {"hidden by backslash", "POST", "/users/a%5C..%5Cb/messages/m/recall", kReject, ""},
      {"dot segments encoded twice", "POST", "/users/a/%252e%252e/b/messages/m/recall", kReject,
       ""},
      {"overlong slash", "POST", "/me/messages/m1%C0%AFpermanentDelete", kReject, ""},
      {"overlong letter", "POST", m + "%C1%B0ermanentDelete", kReject, ""},
      {"full-width letter", "POST", m + "%EF%BD%90ermanentDelete", kReject, ""},
      {"full-width slash", "POST", "/me/messages/m1%EF%BC%8Frecall", kReject, ""},
      {"unicode escape of old servers", "POST", m + "%u0070ermanentDelete", kReject, ""},
      {"zero width space", "POST", m + "permanent%E2%80%8BDelete", kReject, ""},
      {"zero width at the end", "POST", m + "recall%E2%80%8B", kReject, ""},
      {"byte order mark", "POST", m + "%EF%BB%BFrecall", kReject, ""},
      {"soft hyphen", "POST", m + "re%C2%ADcall", kReject, ""},
      {"no-break space", "POST", m + "recall%C2%A0", kReject, ""},
      {"no-break space in Latin-1", "POST", m + "recall%A0", kReject, ""},
      {"space", "POST", m + "permanentDelete%20", kReject, ""},
      {"space before", "POST", m + "%20permanentDelete", kReject, ""},
      {"plus", "POST", m + "permanentDelete+", kReject, ""},
      {"raw space", "POST", m + "permanentDelete ", kReject, ""},
      {"tab", "POST", m + "permanentDelete%09", kReject, ""},
      {"tab within", "POST", m + "permanent%09Delete", kReject, ""},
      {"line feed", "POST", m + "permanentDelete%0A", kReject, ""},
      {"NUL", "POST", m + "permanentDelete%00", kReject, ""},
      {"NUL and more", "POST", m + "permanentDelete%00.txt", kReject, ""},
      {"NUL before", "POST", m + "%00permanentDelete", kReject, ""},
      {"NUL in the id", "POST", "/me/messages/m1%00/permanentDelete", kReject, ""},
      {"control in the mailbox", "POST", "/users/u%0d%0a/messages/m/recall", kReject, ""},
      {"id not UTF-8", "POST", "/me/messages/%ff/recall", kReject, ""},
      {"dot at the end", "POST", m + "permanentDelete.", kReject, ""},
      {"dot before", "POST", m + ".permanentDelete", kReject, ""},
      {"parameters", "POST", m + "permanentDelete;v=1", kReject, ""},
      {"semicolon", "POST", m + "recall;", kReject, ""},
      {"parameters on the id", "POST", "/me/messages/m1;x=1/permanentDelete", kReject, ""},
      {"encoded question mark", "POST", m + "recall%3Fx=1", kReject, ""},
      {"fragment of an ordinary request", "GET", "/v1.0/me#x", kReject, ""},
      {"text behind a blank", "POST", m + "permanentDelete%20x", kReject, ""},
      {"version behind a blank", "POST", m + "recall%20HTTP/1.1", kReject, ""},
      {"text behind a tab", "POST", m + "permanentDelete%09x", kReject, ""},
      {"text behind a line end", "POST", m + "permanentDelete%0d%0aHost:x", kReject, ""},
      {"text behind a no-break space", "POST", m + "permanentDelete%C2%A0x", kReject, ""},
      {"behind a semicolon", "POST", m + "x;permanentDelete", kReject, ""},
      {"batch with text behind a blank", "POST", "/v1.0/$batch%20x", kReject, ""},
      {"encoded hash", "POST", m + "recall%23x", kReject, ""},
      {"comma", "POST", m + "recall,", kReject, ""},
      {"quotes", "POST", m + "'recall'", kReject, ""},
      {"arguments", "POST", m + "recall(1)", kReject, ""},
      {"named arguments", "POST", m + "permanentDelete(x='y')", kReject, ""},
      {"open parenthesis", "POST", m + "permanentDelete(", kReject, ""},
      {"other namespace", "POST", m + "contoso.permanentDelete", kReject, ""},
      {"other namespace of Graph's", "POST", m + "microsoft.graph.security.recall", kReject, ""},
      {"colon", "POST", m + "permanentDelete:", kReject, ""},
      {"value after", "POST", m + "permanentDelete/$value", kReject, ""},
      {"segment after", "POST", m + "permanentDelete/x", kReject, ""},
      {"action after", "POST", m + "permanentDelete/permanentDelete", kReject, ""},
      {"two encoded slashes after", "POST", m + "permanentDelete/%2F%2F", kReject, ""},
      {"walking away", "POST", m + "permanentDelete/..", kReject, ""},
      {"walking elsewhere", "POST", m + "permanentDelete/../move", kReject, ""},
      {"where does .. go", "POST", "/users/a//../ceo/messages/m/recall", kReject, ""},
      {"key or action", "POST", "/me/messages/permanentDelete", kReject, ""},
      {"key or qualified action", "POST", "/me/messages/graph.recall", kReject, ""},
      {"user or action", "POST", "/users/permanentDelete", kReject, ""},
      {"file or action", "POST", "/drives/d/root:/a/permanentDelete", kReject, ""},
      {"child or action", "POST", "/drives/d/items/i:/permanentDelete", kReject, ""},
      {"quote left open", "POST", "/me/messages('a/permanentDelete", kReject, ""},
      {"absolute form", "POST", "https://graph.microsoft.com/v1.0/me/messages/m/recall", kReject,
       ""},
      {"no leading slash", "POST", "v1.0/me/messages/m/recall", kReject, ""},
      {"method in lower case", "post", m + "permanentDelete", kReject, ""},
      {"method with a space", "POST ", m + "permanentDelete", kReject, ""},
      {"unknown root, value after", "POST", "/foo/bars/b/permanentDelete/$value", kReject, ""},
  });
}

TEST(Classify, Batches) {
  check({
      {"v1.0", "POST", "/v1.0/$batch", "batch", ""},
      {"no version", "POST", "/$batch", "batch", ""},
      {"other version", "POST", "/v3.1/$batch", "batch", ""},
      {"unknown version", "POST", "/canary/$batch", "batch", ""},
      {"myorganization", "POST", "/v1.0/myorganization/$batch", "batch", ""},
      {"encoded", "POST", "/beta/%24b%61tch", "batch", ""},
      {"capitals and slash", "POST", "/BETA/$BATCH/", "batch", ""},
      {"query", "POST", "/v1.0/$batch?x", "batch", ""},
      {"dot segments", "POST", "/v1.0/me/../$batch", "batch", ""},
      {"encoded twice", "POST", "/v1.0/%2524batch", kReject, ""},
      {"space", "POST", "/v1.0/$batch%20", kReject, ""},
      {"fragment", "POST", "/v1.0/$batch#", kReject, ""},
      {"backslash", "POST", "/v1.0%5C$batch", kReject, ""},
      {"parentheses", "POST", "/v1.0/$batch()", kReject, ""},
      {"segment after", "POST", "/v1.0/$batch/x", kReject, ""},
      {"deeper", "POST", "/v1.0/me/$batch", kReject, ""},
      {"as a key", "POST", "/v1.0/users/$batch", kReject, ""},
      {"absolute form", "POST", "http://x/v1.0/$batch", kReject, ""},
      {"override", "PUT", "/v1.0/$batch", kReject, "X-HTTP-Method: POST"},
      {"get", "GET", "/v1.0/$batch", kPass, ""},
      {"no dollar", "POST", "/v1.0/batch", kPass, ""},
      {"longer", "POST", "/v1.0/$batches", kPass, ""},
      {"user called so", "POST", "/users/$batch/sendMail", kPass, ""},
  });
}

TEST(Classify, MethodOverrides) {
  const std::string m = "/v1.0/me/messages/m1/permanentDelete";
  const std::string item = "/beta/admin/exchange/mailboxes/b/folders/f/items/i?disposalType=";
  check({
      {"put", "PUT", m, kReject, "X-HTTP-Method-Override: POST"},
      {"get", "GET", m, kReject, "x-http-method: POST"},
      {"patch", "PATCH", m, kReject, "X-METHOD-OVERRIDE: post"},
      {"blanks", "GET", m, kReject, "X-HTTP-Method: \tPOST "},
      {"list", "GET", m, kReject, "X-HTTP-Method: GET, POST"},
      {"underscores", "GET", m, kReject, "X_HTTP_Method_Override: POST"},
      {"odd spelling of the path too", "GET", m + "%20", kReject, "X-HTTP-Method: POST"},
      {"to delete", "POST", item + "hardDelete", kReject, "X-HTTP-Method: DELETE"},
      {"softly to delete", "POST", item + "softDelete", kPass, "X-HTTP-Method: DELETE"},
      {"post is post", "POST", m, kDelete, "X-HTTP-Method: POST"},
      {"post stays guarded", "POST", m, kDelete, "X-HTTP-Method: GET"},
      {"no override", "PUT", m, kPass, ""},
      {"override to get", "PUT", m, kPass, "X-HTTP-Method: GET"},
      {"nothing to guard", "GET", "/v1.0/me/messages/m1", kPass, "X-HTTP-Method: POST"},
      {"another header", "GET", m, kPass, "X-Original-Method: POST"},
  });
}

TEST(Classify, OrdinaryTrafficPasses) {
  check({
      {"get", "GET", "/v1.0/me/messages/m1/permanentDelete", kPass, ""},
      {"delete", "DELETE", "/v1.0/me/messages/m1/permanentDelete", kPass, ""},
      {"put", "PUT", "/v1.0/me/messages/m1/recall", kPass, ""},
      {"odd path with get", "GET", "/v1.0/me/messages/m1%5CpermanentDelete", kPass, ""},
      {"soft delete", "DELETE", "/v1.0/me/messages/m1", kPass, ""},
      {"move", "POST", "/v1.0/me/messages/m1/move", kPass, ""},
      {"plural", "POST", "/v1.0/me/messages/m1/permanentDeletes", kPass, ""},
      {"prefix", "POST", "/v1.0/me/messages/m1/xpermanentDelete", kPass, ""},
      {"recalled", "POST", "/v1.0/me/messages/m1/recalled", kPass, ""},
      {"with a hyphen", "POST", "/v1.0/me/messages/m1/recall-status", kPass, ""},
      {"with an underscore", "POST", "/v1.0/me/messages/m1/permanent_Delete", kPass, ""},
      {"longer qualified", "POST", "/applications/a/microsoft.graph.recallSomething", kPass, ""},
      {"the chain", "POST", "/users/u/teamwork/recallActivityNotificationChainForRecipient", kPass,
       ""},
      {"user", "POST", "/v1.0/users/recall/sendMail", kPass, ""},
      {"user in parentheses", "POST", "/v1.0/users('permanentDelete')/sendMail", kPass, ""},
      {"upn", "POST", "/v1.0/users/permanentDelete@contoso.com/sendMail", kPass, ""},
      {"folder", "POST", "/v1.0/me/mailFolders/recall/messages", kPass, ""},
      {"message", "POST", "/v1.0/me/messages/permanentDelete/move", kPass, ""},
      {"item", "POST", "/v1.0/drives/d/items/recall/createLink", kPass, ""},
      {"list", "POST", "/v1.0/sites/root/lists/recall/items", kPass, ""},
      {"channel", "POST", "/v1.0/teams/recall/channels/permanentDelete/messages", kPass, ""},
      {"file session", "POST", "/drives/d/root:/recall:/createUploadSession", kPass, ""},
      {"file children", "POST", "/me/drive/root:/permanentDelete:/children", kPass, ""},
      {"file below", "POST", "/me/drive/root:/permanentDelete/a.txt:/copy", kPass, ""},
      {"file content", "PUT", "/me/drive/root:/x/permanentDelete:/content", kPass, ""},
      {"file unclosed", "PUT", "/me/drive/root:/x/permanentDelete", kPass, ""},
      {"site", "POST", "/sites/contoso.sharepoint.com:/sites/recall:/lists", kPass, ""},
      {"unknown collection", "POST", "/foo/widgets/recall/assign", kPass, ""},
      {"in the query", "POST", "/me/sendMail?x=/permanentDelete", kPass, ""},
      {"file with ;", "POST", "/drives/d/root:/a;b.xlsx:/createLink", kPass, ""},
      {"file with %", "POST", "/drives/d/root:/100%25.docx:/createLink", kPass, ""},
      {"file with #", "POST", "/drives/d/root:/recall%231.docx:/createLink", kPass, ""},
      {"file with \\", "POST", "/drives/d/root:/a%5Cb.docx:/createLink", kPass, ""},
      {"encoded quotes with the action in them", "POST", "/users(%27a/permanentDelete%27)/sendMail",
       kPass, ""},
      {"quotes with the action in them", "POST", "/me/messages('a/permanentDelete')/move", kPass,
       ""},
      {"empty target", "POST", "", kPass, ""},
      {"root", "POST", "/", kPass, ""},
      {"star", "OPTIONS", "*", kPass, ""},
      {"remediate elsewhere", "POST", "/deviceManagement/scripts/s/remediate", kPass, ""},
      {"purgeData elsewhere", "POST", "/foo/purgeData", kPass, ""},
      {"delete on remediate", "DELETE", "/security/collaboration/analyzedEmails/remediate", kPass,
       ""},
  });
}

struct Detail {
  const char* name;
  std::string target;
  const char* resource;
  const char* mailbox;  // kind:key
  const char* item;     // "" for none.
  const char* folder;
  bool may_be_shared;
  const char* canonical_path;
};

TEST(Classify, OperationsSayWhoseAndWhat) {
  const Detail cases[] = {
      {"message", "/V1.0/Me/MESSAGES/AbC/PermanentDelete", "message", "me:", "AbC", "", false,
       "/v1.0/me/messages/AbC/permanentdelete"},
      {"user decoded", "/beta/users/Ada%40x.com/messages('A%2FB')/graph.permanentDelete()",
       "message", "user:Ada@x.com", "A/B", "", false,
       "/beta/users/Ada@x.com/messages/A%2FB/permanentdelete"},
      {"guest", "/users/g%23EXT%23@x/messages/m/permanentDelete", "message", "user:g#EXT#@x", "m",
       "", false, "/users/g#EXT#@x/messages/m/permanentdelete"},
      {"folders", "/me/mailFolders/f/childFolders/g/messages/m/permanentDelete", "message",
       "me:", "m", "g", false, "/me/mailfolders/f/childfolders/g/messages/m/permanentdelete"},
      {"mail folder", "/me/mailFolders/f/childFolders/g/permanentDelete", "mailFolder", "me:", "g",
       "g", false, "/me/mailfolders/f/childfolders/g/permanentdelete"},
      {"contact folder", "/me/contactFolders/f/childFolders/g/permanentDelete", "contactFolder",
       "me:", "g", "g", false, "/me/contactfolders/f/childfolders/g/permanentdelete"},
      {"contact", "/me/contactFolders/f/contacts/c/permanentDelete", "contact", "me:", "c", "f",
       false, "/me/contactfolders/f/contacts/c/permanentdelete"},
      {"contact of a user in parentheses", "/v1.0/users('a.b@x.com')/contacts/c/permanentDelete",
       "contact", "user:a.b@x.com", "c", "", false,
       "/v1.0/users/a.b@x.com/contacts/c/permanentdelete"},
      {"contact without a version", "/users('u')/contacts/c/permanentDelete", "contact", "user:u",
       "c", "", false, "/users/u/contacts/c/permanentdelete"},
      {"cast", "/me/messages/m/microsoft.graph.eventMessage/permanentDelete", "message", "me:", "m",
       "", false, "/me/messages/m/permanentdelete"},
      {"cast of the collection", "/me/messages/graph.eventMessage/m/permanentDelete", "message",
       "me:", "m", "", false, "/me/messages/m/permanentdelete"},
      {"event of a message", "/me/messages/m/event/permanentDelete", "event", "me:", "", "", false,
       "/me/messages/m/event/permanentdelete"},
      {"default calendar", "/groups/g/calendar/permanentDelete", "calendar", "group:g", "", "",
       false, "/groups/g/calendar/permanentdelete"},
      {"shared calendar", "/me/calendars/c/events/e/instances/i/permanentDelete", "event",
       "me:", "i", "", true, "/me/calendars/c/events/e/instances/i/permanentdelete"},
      {"calendar groups", "/me/calendarGroups/g/calendars/c/permanentDelete", "calendar",
       "me:", "c", "", true, "/me/calendargroups/g/calendars/c/permanentdelete"},
      {"outlook task", "/me/outlook/taskGroups/g/taskFolders/f/tasks/t/permanentDelete",
       "outlookTask", "me:", "t", "f", false,
       "/me/outlook/taskgroups/g/taskfolders/f/tasks/t/permanentdelete"},
      {"nameless event", "/v1.0/users/u/AAMk=/permanentDelete", "event", "user:u", "AAMk=", "",
       false, "/v1.0/users/u/events/AAMk=/permanentdelete"},
      {"drive item of a user", "/users/u/drive/items/i/permanentDelete", "driveItem", "user:u", "i",
       "", true, "/users/u/drive/items/i/permanentdelete"},
      {"drive item by path", "/me/drive/root:/a/b.txt:/permanentDelete", "driveItem",
       "me:", "root:/a/b.txt:", "", true, "/me/drive/root:/a/b.txt:/permanentdelete"},
      {"drive item of a site", "/sites/h:/sites/x:/drive/items/i/permanentDelete", "driveItem",
       "none:", "i", "", true, "/sites/h:/sites/x:/drive/items/i/permanentdelete"},
      {"shared file", "/shares/s/driveItem/permanentDelete", "driveItem", "none:", "", "", false,
       "/shares/s/driveitem/permanentdelete"},
      {"list item's file", "/sites/s/lists/l/items/i/driveItem/permanentDelete", "driveItem",
       "none:", "", "", false, "/sites/s/lists/l/items/i/driveitem/permanentdelete"},
      {"container", "/storage/fileStorage/containers/c/permanentDelete", "fileStorageContainer",
       "none:", "c", "", false, "/storage/filestorage/containers/c/permanentdelete"},
      {"manager's mailbox", "/me/manager/messages/m/permanentDelete", "message", "none:", "m", "",
       true, "/me/manager/messages/m/permanentdelete"},
      {"report's mailbox", "/me/directReports/r/messages/m/permanentDelete", "message", "user:r",
       "m", "", false, "/me/directreports/r/messages/m/permanentdelete"},
      {"chat message", "/me/chats/c/messages/m/permanentDelete", "", "none:", "m", "", true,
       "/me/chats/c/messages/m/permanentdelete"},
      {"recall of an event", "/me/events/e/recall", "", "me:", "e", "", false,
       "/me/events/e/recall"},
      {"unknown", "/v1.0/foo/bars/b/permanentDelete", "", "none:", "b", "", false,
       "/v1.0/foo/bars/b/permanentdelete"},
  };
  for (const Detail& d : cases) {
    const Classification c =
        classify({.method = "POST", .target = d.target, .headers = {}, .body = std::nullopt});
    ASSERT_EQ(c.request_class, RequestClass::kGuarded) << d.name << ": " << c.reason;
    const Operation& o = *c.operation;
    EXPECT_EQ(o.resource, d.resource) << d.name;
    EXPECT_EQ(std::string(to_string(o.mailbox.kind)) + ":" + o.mailbox.key, d.mailbox) << d.name;
    EXPECT_EQ(o.item.value_or(""), d.item) << d.name;
    EXPECT_EQ(o.folder.value_or(""), d.folder) << d.name;
    EXPECT_EQ(o.may_be_shared, d.may_be_shared) << d.name;
    EXPECT_EQ(o.canonical_path, d.canonical_path) << d.name;
    EXPECT_EQ(o.version, c.version) << d.name;
  }
}

TEST(Classify, HardDeleteThroughTheExchangeAdministration) {
  const std::string item = "/beta/admin/exchange/mailboxes/b/folders/f/items/i";
  check({
      {"hard", "DELETE", item + "?disposalType=hardDelete", "hardDelete", ""},
      {"any case", "DELETE", item + "?DISPOSALTYPE=HARDDELETE", "hardDelete", ""},
      {"encoded", "DELETE", item + "?disposal%54ype=hard%44elete", "hardDelete", ""},
      {"among others", "DELETE", item + "?a=b&disposalType=hardDelete&c", "hardDelete", ""},
      {"twice the same", "DELETE", item + "?disposalType=hardDelete&disposalType=hardDelete",
       "hardDelete", ""},
      {"keys in parentheses", "DELETE",
       "/admin/exchange/mailboxes('b')/folders('f')/items('i')?disposalType=hardDelete",
       "hardDelete", ""},
      {"child folders", "DELETE",
       "/admin/exchange/mailboxes/b/folders/f/childFolders/g/items/i?disposalType=hardDelete",
       "hardDelete", ""},
      {"folder itself", "DELETE", "/admin/exchange/mailboxes/b/folders/f?disposalType=hardDelete",
       "hardDelete", ""},
      {"hard and soft", "DELETE", item + "?disposalType=hardDelete&disposalType=softDelete",
       kReject, ""},
      {"soft and hard", "DELETE", item + "?disposalType=softDelete&DisposalType=hardDelete",
       kReject, ""},
      {"encoded twice", "DELETE", item + "?disposalType=%2568ardDelete", kReject, ""},
      {"encoded ampersand", "DELETE", item + "?a=b%26disposalType=hardDelete", kReject, ""},
      {"semicolon", "DELETE", item + "?a=b;disposalType=hardDelete", kReject, ""},
      {"quoted", "DELETE", item + "?disposalType='hardDelete'", kReject, ""},
      {"blank", "DELETE", item + "?disposalType=hardDelete%20", kReject, ""},
      {"number", "DELETE", item + "?disposalType=1", kReject, ""},
      {"dollar", "DELETE", item + "?$disposalType=hardDelete", kReject, ""},
      {"fragment", "DELETE", item + "?disposalType=hardDelete#x", kReject, ""},
      {"encoded slashes", "DELETE",
       "/beta/admin%2Fexchange%2Fmailboxes%2Fb%2Fitems%2Fi?disposalType=hardDelete", kReject, ""},
      {"method in lower case", "delete", item + "?disposalType=hardDelete", kReject, ""},
      {"soft", "DELETE", item + "?disposalType=softDelete", kPass, ""},
      {"unsaid", "DELETE", item, kPass, ""},
      {"get", "GET", item + "?disposalType=hardDelete", kPass, ""},
      {"elsewhere", "DELETE", "/me/messages/m?disposalType=hardDelete", kPass, ""},
  });
  const std::string hard = item + "?disposalType=hardDelete";
  const Classification c =
      classify({.method = "DELETE", .target = hard, .headers = {}, .body = std::nullopt});
  EXPECT_EQ(c.operation->mailbox, (Mailbox{.kind = MailboxKind::kUser, .key = "b"}));
  EXPECT_EQ(c.operation->resource, "mailboxItem");
  EXPECT_EQ(c.operation->item, "i");
  EXPECT_EQ(c.operation->folder, "f");
}

TEST(Classify, DeletesThatTheBodyDecides) {
  const char* const remediate = "/beta/security/collaboration/analyzedEmails/remediate";
  const char* const purge =
      "/v1.0/security/cases/ediscoveryCases/c/searches/s/microsoft.graph.security.purgeData";
  struct BodyCase {
    const char* name;
    const char* target;
    std::optional<std::string_view> body;
    const char* expected;
  };
  const BodyCase cases[] = {
      {"hard", remediate, R"({"action":"hardDelete"})", "remediate"},
      {"hard in capitals", remediate, R"({"ACTION":"HARDDELETE"})", "remediate"},
      {"hard, escaped", remediate, R"({"\u0061ction":"hard\u0044elete"})", "remediate"},
      {"qualified", "/security/collaboration/analyzedEmails/microsoft.graph.security.remediate()",
       R"({"action":"hardDelete"})", "remediate"},
      {"not given", remediate, std::nullopt, "remediate"},
      {"does not say", remediate, "{}", "remediate"},
      {"soft", remediate, R"({"action":"softDelete"})", kPass},
      {"move", remediate, R"({"action":"moveToJunk"})", kPass},
      {"empty", remediate, "", kReject},
      {"not JSON", remediate, "action=hardDelete", kReject},
      {"array", remediate, "[]", kReject},
      {"twice", remediate, R"({"action":"softDelete","action":"hardDelete"})", kReject},
      {"twice in two cases", remediate, R"({"action":"softDelete","Action":"x"})", kReject},
      {"number", remediate, R"({"action":1})", kReject},
      {"number in a string", remediate, R"({"action":"1"})", kReject},
      {"null", remediate, R"({"action":null})", kReject},
      {"blank after", remediate, R"({"action":"hardDelete "})", kReject},
      {"segments after", "/security/collaboration/analyzedEmails/remediate/x",
       R"({"action":"softDelete"})", kReject},
      {"blank in the path", "/security/collaboration/analyzedEmails/remediate%20",
       R"({"action":"hardDelete"})", kReject},
      {"purge", purge, R"({"purgeType":"permanentlyDelete","purgeAreas":"mailboxes"})",
       "purgeData"},
      {"purge, plain", "/security/cases/ediscoveryCases('c')/searches('s')/PURGEDATA",
       R"({"purgeType":"permanentlyDelete"})", "purgeData"},
      {"purge not given", purge, std::nullopt, "purgeData"},
      {"purge recoverable", purge, R"({"purgeType":"recoverable"})", kPass},
      {"purge twice", purge, R"({"purgeType":"recoverable","purgeType":"recoverable"})", kReject},
  };
  for (const BodyCase& b : cases) {
    const Classification c =
        classify({.method = "POST", .target = b.target, .headers = {}, .body = b.body});
    EXPECT_EQ(verdict(c), b.expected) << b.name << ": " << c.reason;
    EXPECT_EQ(c.needs_body, !b.body.has_value()) << b.name;
  }
}

}  // namespace
}  // namespace holdfast::graph

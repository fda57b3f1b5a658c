// What a call is bound to, whatever its spelling.
#include "approval/binding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graph/classify.h"

namespace holdfast::approval {
namespace {

const std::string kAlex = "aaaaaaaa-0000-4000-8000-000000000001";
const std::string kTenant = "bbbbbbbb-0000-4000-8000-000000000001";
const std::vector<std::string> kAlexNames = {kAlex, "alex@contoso.com", "wilber@contoso.com"};

struct Sent {
  std::string target;
  std::vector<std::string> names = kAlexNames;
  std::string prefer;
  std::string body;
  std::string caller = kAlex;
};

Binding bound(const Sent& sent) {
  const graph::Classification what = graph::classify(
      {.method = "POST", .target = sent.target, .headers = {}, .body = std::nullopt});
  EXPECT_EQ(what.request_class, graph::RequestClass::kGuarded) << sent.target;
  identity::Actor actor{.kind = identity::ActorKind::kUser};
  actor.tenant_id = kTenant;
  actor.object_id = sent.caller;
  return bind({.method = "POST", .target = sent.target, .prefer = sent.prefer, .body = sent.body},
              *what.operation, actor, sent.names);
}

std::string difference(const Sent& approved, const Sent& asked) {
  return std::string(first_difference(bound(approved), bound(asked)).value_or("none"));
}

TEST(Binding, IsOneForEverySpellingOfACall) {
  const Sent call{.target = "/v1.0/me/messages/AAa/permanentDelete"};
  for (const std::string target :
       {"/v1.0/users/alex@contoso.com/messages/AAa/permanentDelete",
        "/v1.0/users/ALEX@contoso.com/messages/AAa/permanentDelete",
        "/v1.0/users('Wilber%40contoso.com')/messages('AAa')/microsoft.graph.permanentDelete",
        "/V1.0/Users/AAAAAAAA-0000-4000-8000-000000000001/Messages/%41Aa/permanentDelete()",
        "/v1.0/users/aaaaaaaa-0000-4000-8000-000000000001@bbbbbbbb-0000-4000-8000-000000000001/"
        "messages/AAa/permanentDelete?"}) {
    EXPECT_EQ(difference(call, {.target = target}), "none") << target;
  }
  EXPECT_EQ(bound(call).digest(),
            bound({.target = "/v1.0/me//messages/AAa/permanentDelete/"}).digest());
}

TEST(Binding, NeedsNoNamesForMeAndForCase) {
  const Sent call{.target = "/v1.0/me/messages/AAa/permanentDelete", .names = {}};
  EXPECT_EQ(difference(call, {.target = "/v1.0/users/" + kAlex + "/messages/AAa/permanentDelete"}),
            "none");
  EXPECT_EQ(
      difference({.target = "/users/Alex@contoso.com/messages/m/permanentDelete", .names = {}},
                 {.target = "/users/alex@contoso.com/messages/m/permanentDelete", .names = {}}),
      "none");
  EXPECT_EQ(difference({.target = "/groups/G/calendar/permanentDelete", .names = {}},
                       {.target = "/groups/g/calendar/permanentDelete", .names = {}}),
            "none");
}

TEST(Binding, TellsCallsApart) {
  const Sent call{.target = "/v1.0/me/messages/AAa/permanentDelete"};
  const struct {
    Sent sent;
    const char* field;
  } others[] = {
      {{.target = call.target, .caller = "cccccccc-0000-4000-8000-000000000001"}, "actor"},
      {{.target = "/beta/me/messages/AAa/permanentDelete"}, "version"},
      {{.target = "/v1.0/me/messages/AAA/permanentDelete"}, "path"},
      {{.target = "/v1.0/me/events/AAa/permanentDelete"}, "path"},
      {{.target = "/v1.0/me/mailFolders/f/messages/AAa/permanentDelete"}, "path"},
      {{.target = "/v1.0/users/ada@contoso.com/messages/AAa/permanentDelete",
        .names = {"ada@contoso.com", "dddddddd-0000-4000-8000-000000000001"}},
       "path"},
      {{.target = "/v1.0/users/ada@contoso.com/messages/AAa/permanentDelete", .names = {}}, "path"},
      {{.target = "/v1.0/groups/" + kAlex + "/messages/AAa/permanentDelete"}, "path"},
      {{.target = call.target + "?x=1"}, "query"},
      {{.target = call.target, .prefer = "IdType=\"ImmutableId\""}, "prefer"},
      {{.target = call.target, .body = "{}"}, "body"},
  };
  for (const auto& other : others) EXPECT_EQ(difference(call, other.sent), other.field);
}

TEST(Binding, OfWhatIsReachedThroughAMailboxHasThatMailboxAsItIs) {
  const Sent call{.target = "/me/manager/messages/m/permanentDelete", .names = {}};
  Sent other = call;
  other.target = "/users/r/directReports/s/messages/m/permanentDelete";
  EXPECT_EQ(difference(call, other), "path");
  Sent through = other;
  through.target = "/users/t/directReports/s/messages/m/permanentDelete";
  EXPECT_EQ(difference(other, through), "path");
}

}  // namespace
}  // namespace holdfast::approval

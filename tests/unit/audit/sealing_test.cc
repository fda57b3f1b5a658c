#include "audit/sealing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "audit/entry.h"
#include "base/crypto.h"
#include "base/encoding.h"
#include "base/json.h"

namespace holdfast::audit {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

const Writer kSealingWriter{.id = *parse_uuid("10000000-0000-4000-8000-000000000001"),
                            .role = WriterRole::kProxy};

// An app's or a person's call on somebody else's mailbox, with all that is personal in it.
json personal_call() {
  return json::parse(R"({
    "request":{"method":"POST","target":"/v1.0/users/carol-target/messages/1/permanentDelete",
      "source_ip":"10.1.2.3","user_agent":"adas-agent","justification":"ada-says-so",
      "client_certificate":{"subject":"CN=ada-cert","sha256":"00"},"ticket":"CASE-1"},
    "operation":{"action":"permanentDelete","item":"1","path":"/v1.0/users/carol-path",
      "mailbox":{"kind":"user","key":"carol-key","names":["carol-name","carol@contoso.com"]}},
    "actor":{"kind":"user","user":"ada-id","name":"ada@contoso.com","tenant":"t",
      "verification":"probe"},
    "decision":{"effect":"allow","facts":{"mailbox":["carol-fact"],"recipients":["carol-to"],
        "affected_mailboxes":{"complete":true,"known":[["carol-affected"]]},
        "sender":["carol-from"],"source_ip":"10.1.2.3","folder":null},
      "limits":[{"rule":"a","key":"a|actor|t/ada-id","mailbox":"carol-limit"},
                {"rule":"b","key":"b|mailbox|carol-limit","mailbox":"carol-limit"},
                {"rule":"c","key":"c|rule|","mailbox":"carol-limit"}]},
    "preimage":{"status":200,"sender":"carol-sender","recipients":["carol-recipient"]},
    "outcome":{"result":"refused","error":"no mailbox carol-error","error_code":"E",
      "evidence":{"target":"/v1.0/users/carol-evidence","status":404}},
    "approval":{"code":"c","limits":[{"rule":"a","key":"a|actor|t/ada-id","mailbox":"carol-limit"},
        {"rule":"b","key":"b|mailbox|carol-limit","mailbox":"carol-limit"}],"state":"PENDING","requester":"t/ada-id","binding":"ada-binding",
      "requested_by":{"names":["ada@contoso.com"]},
      "bound":{"actor":"ada-bound","path":"carol-bound","method":"m"}},
    "review":{"code":"r","requester":"t/ada-id","requested_by":{"names":["ada@contoso.com"]},
      "binding":"ada-binding","overrides":{"code":"c","step":1}}})");
}

TEST(Sealing, takes_every_personal_value_out_and_each_to_its_own_person) {
  json content = personal_call();
  const std::vector<SealedDocument> documents = seal(content);
  ASSERT_EQ(documents.size(), 2U);
  EXPECT_THAT(documents[0].names, ElementsAre("ada-id", "ada@contoso.com"));
  EXPECT_THAT(documents[1].names, ElementsAre("carol-key", "carol-name", "carol@contoso.com"));
  for (const char* personal : {"ada", "carol", "10.1.2.3"}) {
    EXPECT_THAT(content.dump(), Not(HasSubstr(personal)));
  }
  EXPECT_THAT(documents[0].bytes, Not(HasSubstr("carol")));
  EXPECT_THAT(documents[1].bytes, Not(HasSubstr("ada")));
  EXPECT_TRUE(content["decision"]["facts"]["folder"].is_null());
  EXPECT_EQ(content["decision"]["limits"][2]["key"], "c|rule|");
  EXPECT_EQ(content["request"]["ticket"], "CASE-1");
  EXPECT_EQ(content["review"]["overrides"], json({{"code", "c"}, {"step", 1}}));
}

TEST(Sealing, documents_are_canonical_salted_and_named_by_their_digest) {
  json content = personal_call();
  json again = personal_call();
  const std::vector<SealedDocument> documents = seal(content);
  const std::vector<SealedDocument> others = seal(again);
  for (std::size_t i = 0; i < documents.size(); ++i) {
    EXPECT_EQ(content["sealed"][i], json({{"sha256", to_hex(sha256(documents[i].bytes))}}));
    const json parsed = *parse_json(documents[i].bytes);
    EXPECT_EQ(*canonical_json(parsed), documents[i].bytes);
    EXPECT_EQ(from_base64(text_at(parsed, "/salt"))->size(), 32U);
    EXPECT_EQ(parsed["values"], (*parse_json(others[i].bytes))["values"]);
    EXPECT_NE(documents[i].bytes, others[i].bytes);
  }
}

TEST(Sealing, opening_gives_the_record_back) {
  json content = personal_call();
  const std::vector<SealedDocument> documents = seal(content);
  EXPECT_FALSE(open_with(content, 0, documents[1].bytes));  // Not the one named there.
  EXPECT_FALSE(open_with(content, 2, documents[1].bytes));
  EXPECT_TRUE(open_with(content, 0, documents[0].bytes));
  EXPECT_TRUE(open_with(content, 1, documents[1].bytes));
  content.erase("sealed");
  EXPECT_EQ(content, personal_call());
}

TEST(Sealing, values_whose_object_is_gone_stay_away) {
  json content = personal_call();
  const std::vector<SealedDocument> documents = seal(content);
  content.erase("decision");
  content.erase("preimage");
  ASSERT_TRUE(open_with(content, 1, documents[1].bytes));
  EXPECT_FALSE(content.contains("decision"));
  EXPECT_EQ(text_at(content, "/operation/path"), "/v1.0/users/carol-path");
}

TEST(Sealing, of_a_decision_on_a_call_only_whose_mailbox_it_was_is_taken) {
  json content = personal_call();
  const std::vector<SealedDocument> documents = seal(content, SealedPart::kMailbox);
  ASSERT_EQ(documents.size(), 1U);
  EXPECT_THAT(documents[0].names, ElementsAre("carol-key", "carol-name", "carol@contoso.com"));
  EXPECT_THAT(content["operation"].dump(), Not(HasSubstr("carol")));
  for (const char* officers : {"actor", "request", "approval", "review"}) {
    EXPECT_EQ(content[officers], personal_call()[officers]);
  }
  ASSERT_TRUE(open_with(content, 0, documents[0].bytes));
  content.erase("sealed");
  EXPECT_EQ(content, personal_call());
}

TEST(Sealing, who_decides_on_a_call_on_their_own_mailbox_stays_named) {
  json content = personal_call();
  content.merge_patch(json::parse(R"({"operation":{"mailbox":{"key":"ada-id","names":null}}})"));
  const std::vector<SealedDocument> documents = seal(content, SealedPart::kMailbox);
  ASSERT_EQ(documents.size(), 1U);
  EXPECT_THAT(documents[0].names, ElementsAre("ada-id"));
  EXPECT_EQ(content["actor"], personal_call()["actor"]);
}

TEST(Sealing, a_decision_on_a_call_for_no_mailbox_stays_as_it_is) {
  json content = personal_call();
  content.merge_patch(json::parse(R"({"operation":{"mailbox":{"kind":"none"}}})"));
  const json before = content;
  EXPECT_TRUE(seal(content, SealedPart::kMailbox).empty());
  EXPECT_EQ(content, before);
}

struct NamedCase {
  const char* name;
  const char* patch;                            // Merged into the call.
  std::vector<std::vector<std::string>> names;  // Of each document.
};

class SealingNames : public ::testing::TestWithParam<NamedCase> {};

TEST_P(SealingNames, are_those_that_can_be_believed) {
  json content = personal_call();
  content.merge_patch(json::parse(GetParam().patch));
  std::vector<std::vector<std::string>> names;
  for (const SealedDocument& document : seal(content)) names.push_back(document.names);
  EXPECT_EQ(names, GetParam().names);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, SealingNames,
    ::testing::Values(
        NamedCase{"unverified",
                  R"({"actor":{"verification":"none"},"operation":{"mailbox":{"names":null}}})",
                  {{"ada-id"}, {"carol-key"}}},
        NamedCase{"app",
                  R"({"actor":{"kind":"app","app":"app-1","user":null,"name":null}})",
                  {{"app-1"}, {"carol-key", "carol-name", "carol@contoso.com"}}},
        NamedCase{
            "app_called_as_its_victim",
            R"({"actor":{"kind":"app","app":"app-1","user":null,"name":"Carol@contoso.com"}})",
            {{"app-1"}, {"carol-key", "carol-name", "carol@contoso.com"}}},
        NamedCase{"app_with_an_object_id",
                  R"({"actor":{"kind":"app","app":"app-1"}})",
                  {{"app-1"}, {"carol-key", "carol-name", "carol@contoso.com"}}},
        NamedCase{"app_of_no_kind",
                  R"({"actor":{"kind":"unknown","app":"app-1","user":null}})",
                  {{"app-1"}, {"carol-key", "carol-name", "carol@contoso.com"}}},
        NamedCase{"app_without_its_id",
                  R"({"actor":{"kind":"app","app":null,"user":null}})",
                  {{"10.1.2.3"}, {"carol-key", "carol-name", "carol@contoso.com"}}},
        NamedCase{"own",
                  R"({"operation":{"mailbox":{"kind":"me","key":null,"names":["ADA-ID","ada"]}}})",
                  {{"ada-id", "ada@contoso.com", "ADA-ID", "ada"}}},
        NamedCase{"me_unresolved",
                  R"({"operation":{"mailbox":{"kind":"me","key":null,"names":null}}})",
                  {{"ada-id", "ada@contoso.com"}}},
        NamedCase{"no_mailbox",
                  R"({"operation":{"mailbox":{"kind":"none"}}})",
                  {{"ada-id", "ada@contoso.com"}}},
        NamedCase{"nobody", R"({"actor":null,"operation":null})", {{"10.1.2.3"}}},
        NamedCase{"not_even_an_address",
                  R"({"actor":null,"operation":null,"request":{"source_ip":null}})",
                  {{"unknown"}}}),
    [](const auto& one) { return std::string(one.param.name); });

TEST(Sealing, a_record_of_nobody_stays_as_it_is) {
  json content = {{"system", {{"event", "x"}}}, {"rules", {{"by", "Ada"}}}};
  const json before = content;
  EXPECT_TRUE(seal(content).empty());
  EXPECT_EQ(content, before);
}

struct FaultCase {
  const char* name;
  std::vector<FoundDocument> (*found)(const std::vector<SealedDocument>&);
  const char* fault;
};

class SealingFaults : public ::testing::TestWithParam<FaultCase> {};

TEST_P(SealingFaults, are_told) {
  Record record{
      .kind = Kind::kDecision, .content = personal_call(), .personal_data = PersonalData::kSealed};
  const Result<Entry> entry = make_entry(std::move(record), make_uuid_v4(), kSealingWriter);
  ASSERT_TRUE(entry.ok()) << entry.error().message;
  EXPECT_EQ(documents_fault(entry->bytes, GetParam().found(entry->documents)), GetParam().fault);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, SealingFaults,
    ::testing::Values(
        FaultCase{"none",
                  [](const auto& made) {
                    return std::vector<FoundDocument>{{made[0].bytes}, {made[1].bytes}};
                  },
                  ""},
        FaultCase{"erased",
                  [](const auto& made) {
                    return std::vector<FoundDocument>{{"", true}, {made[1].bytes}};
                  },
                  ""},
        FaultCase{"missing",
                  [](const auto& made) { return std::vector<FoundDocument>{{made[0].bytes}}; },
                  "its sealed document 1 is not there"},
        FaultCase{
            "unreadable",
            [](const auto& made) { return std::vector<FoundDocument>{{made[0].bytes}, {""}}; },
            "its sealed document 1 cannot be opened"},
        FaultCase{"other",
                  [](const auto& made) {
                    return std::vector<FoundDocument>{{made[1].bytes}, {made[1].bytes}};
                  },
                  "its sealed document 0 is not the one that the entry names"}),
    [](const auto& one) { return std::string(one.param.name); });

TEST(SealedEntry, holds_no_personal_value_and_opens_with_its_documents) {
  Record record{
      .kind = Kind::kDecision, .content = personal_call(), .personal_data = PersonalData::kSealed};
  record.content.erase("request");
  record.written = {{"request", *canonical_json(personal_call()["request"])}};
  const Result<Entry> entry = make_entry(std::move(record), make_uuid_v4(), kSealingWriter);
  ASSERT_TRUE(entry.ok()) << entry.error().message;
  EXPECT_THAT(entry->bytes, Not(HasSubstr("carol")));
  EXPECT_THAT(entry->bytes, HasSubstr("\"sealed\":[{\"sha256\":\""));
  EXPECT_EQ(*canonical_json(*parse_json(entry->bytes)), entry->bytes);
  json opened = content_of(*entry);
  EXPECT_EQ(personal_data_of(opened), PersonalData::kSealed);
  opened.erase("sealed");
  EXPECT_EQ(opened, personal_call());
}

TEST(SealedEntry, of_an_officers_decision_names_the_officer) {
  Record record{
      .kind = Kind::kApproval, .content = personal_call(), .personal_data = PersonalData::kSealed};
  const Result<Entry> entry = make_entry(std::move(record), make_uuid_v4(), kSealingWriter);
  ASSERT_TRUE(entry.ok()) << entry.error().message;
  EXPECT_EQ(entry->documents.size(), 1U);
  EXPECT_THAT(entry->bytes, HasSubstr("ada@contoso.com"));
  EXPECT_THAT(entry->bytes, Not(HasSubstr("carol-key")));
}

TEST(SealedEntry, comes_back_from_a_spool_with_its_documents) {
  Record record{.kind = Kind::kOutcome,
                .operation_id = make_uuid_v4(),
                .content = personal_call(),
                .personal_data = PersonalData::kSealed};
  const Result<Entry> entry = make_entry(std::move(record), make_uuid_v4(), kSealingWriter);
  ASSERT_TRUE(entry.ok()) << entry.error().message;
  const std::string spooled = spooled_form(*entry);
  EXPECT_LT(spooled.size(), kSpooledBytesMax);
  const Result<Entry> back = read_spooled(spooled);
  ASSERT_TRUE(back.ok()) << back.error().message;
  EXPECT_EQ(back->bytes, entry->bytes);
  EXPECT_EQ(back->documents, entry->documents);
  EXPECT_EQ(back->operation_id, entry->operation_id);
  EXPECT_FALSE(read_spooled(R"({"documents":[{}],"entry":"{}"})").ok());
  EXPECT_FALSE(read_spooled(R"({"documents":[]})").ok());
}

TEST(SealedEntry, what_repeats_it_is_sealed_as_well_and_names_no_document_of_another) {
  Record record{.kind = Kind::kIntent,
                .operation_id = make_uuid_v4(),
                .content = personal_call(),
                .personal_data = PersonalData::kSealed};
  const Entry intent = *make_entry(std::move(record), make_uuid_v4(), kSealingWriter);
  const Record settled =
      settled_outcome(intent.operation_id, content_of(intent), CallResult::kUnknown, "x");
  const Record late = late_outcome(intent.operation_id, content_of(intent));
  for (const Record& repeated : {settled, late}) {
    EXPECT_EQ(repeated.personal_data, PersonalData::kSealed);
    EXPECT_FALSE(repeated.content.contains("sealed"));
    EXPECT_EQ(repeated.content["actor"], personal_call()["actor"]);
    EXPECT_EQ(make_entry(repeated, make_uuid_v4(), kSealingWriter)->documents.size(), 2U);
  }
  const Record clear =
      settled_outcome(intent.operation_id, personal_call(), CallResult::kUnknown, "x");
  EXPECT_EQ(clear.personal_data, PersonalData::kClear);
}

TEST(SealedEntry, is_no_larger_than_it_would_be_in_the_clear) {
  Record record{.kind = Kind::kDecision, .personal_data = PersonalData::kSealed};
  record.content["request"] = {{"target", std::string(kEntryBytesMax, 'x')}};
  EXPECT_EQ(make_entry(record, make_uuid_v4(), kSealingWriter).error().code, ErrorCode::kLimit);
}

}  // namespace
}  // namespace holdfast::audit

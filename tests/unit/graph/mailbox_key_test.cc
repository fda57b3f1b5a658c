#include "graph/mailbox_key.h"

#include <gtest/gtest.h>

namespace holdfast::graph {
namespace {

constexpr std::string_view kId = "b4c80c57-5c59-4a3d-912a-a83985988b82";
constexpr std::string_view kTenant = "11111111-2222-3333-4444-555555555555";

TEST(MailboxKey, TellsTheSpellingsApart) {
  const std::string both = std::string(kId) + "@" + std::string(kTenant);
  struct Case {
    const char* name;
    std::string key;
    MailboxKey expected;
  };
  const Case cases[] = {
      {"guid", std::string(kId), {MailboxKeyKind::kGuid, std::string(kId), ""}},
      {"guid in capitals",
       "B4C80C57-5C59-4A3D-912A-A83985988B82",
       {MailboxKeyKind::kGuid, std::string(kId), ""}},
      {"guid at tenant",
       both,
       {MailboxKeyKind::kGuidAtTenant, std::string(kId), std::string(kTenant)}},
      {"guid at a domain is an address",
       std::string(kId) + "@contoso.com",
       {MailboxKeyKind::kName, std::string(kId) + "@contoso.com", ""}},
      {"upn", "Ada@Contoso.com", {MailboxKeyKind::kName, "ada@contoso.com", ""}},
      {"guest",
       "g_ext.com#EXT#@t.onmicrosoft.com",
       {MailboxKeyKind::kName, "g_ext.com#ext#@t.onmicrosoft.com", ""}},
      {"alias", "Ada", {MailboxKeyKind::kName, "ada", ""}},
      {"guid with a stray digit",
       std::string(kId) + "0",
       {MailboxKeyKind::kName, std::string(kId) + "0", ""}},
      {"white space around", " Ada@Contoso.com\t", {MailboxKeyKind::kName, "ada@contoso.com", ""}},
      {"empty", "", {MailboxKeyKind::kName, "", ""}},
  };
  for (const Case& c : cases) EXPECT_EQ(parse_mailbox_key(c.key), c.expected) << c.name;
}

TEST(MailboxKey, ProxyAddressesLoseTheirPrefixAndOthersAreNone) {
  EXPECT_EQ(smtp_address("SMTP:Ada@Contoso.com"), "ada@contoso.com");
  EXPECT_EQ(smtp_address("smtp:ada@contoso.com"), "ada@contoso.com");
  EXPECT_EQ(smtp_address("Ada@Contoso.com"), "ada@contoso.com");
  EXPECT_EQ(smtp_address("x500:/o=Contoso/cn=ada"), "");
  EXPECT_EQ(smtp_address("SIP:ada@contoso.com"), "");
}

TEST(MailboxKey, NamesKeepBytesBeyondAscii) {
  EXPECT_EQ(normalise_mailbox_name("J\xC3\x96RG@contoso.com"), "j\xC3\x96rg@contoso.com");
}

}  // namespace
}  // namespace holdfast::graph

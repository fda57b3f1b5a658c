// The spellings a mailbox is addressed by, taken apart: pure helpers, no look-ups.
//
//   parse_mailbox_key("11111111-1111-1111-1111-111111111111@22222222-2222-2222-2222-222222222222")
//     -> kind kGuidAtTenant, id 1111…, tenant 2222…
//   parse_mailbox_key("Guest_ext.com#EXT#@T.onmicrosoft.com") -> kind kName, id lower-cased
#pragma once

#include <string>
#include <string_view>

namespace holdfast::graph {

enum class MailboxKeyKind {
  kGuid,          // A directory object's id.
  kGuidAtTenant,  // {id}@{tenant id}, as change notifications write it.
  kName,          // A UPN, an address or an alias.
};

struct MailboxKey {
  MailboxKeyKind kind = MailboxKeyKind::kName;
  std::string id;      // The guid or the name, normalised.
  std::string tenant;  // Lower case; empty but for kGuidAtTenant.
  bool operator==(const MailboxKey&) const = default;
};

// `key` as Mailbox::key holds it: percent-decoded.
MailboxKey parse_mailbox_key(std::string_view key);

// 8-4-4-4-12 hexadecimal digits, any case.
bool is_guid(std::string_view text);

// A name in the form names are compared in: ASCII lower case, white space around it removed. Bytes
// beyond ASCII stay: addresses that differ there are different addresses.
std::string normalise_mailbox_name(std::string_view name);

// The address of a proxyAddresses entry: "SMTP:Ada@Contoso.com" -> "ada@contoso.com". Empty for
// other kinds of address (x500:, sip:), which name no mailbox in a path.
std::string smtp_address(std::string_view proxy_address);

}  // namespace holdfast::graph

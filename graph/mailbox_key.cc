#include "graph/mailbox_key.h"

#include "base/encoding.h"

namespace holdfast::graph {

bool is_guid(std::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (i == 8 || i == 13 || i == 18 || i == 23) {
      if (c != '-') return false;
      continue;
    }
    const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    if (!hex) return false;
  }
  return true;
}

std::string normalise_mailbox_name(std::string_view name) {
  constexpr std::string_view kBlank = " \t\r\n";
  const std::size_t begin = name.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return ascii_lower(name.substr(begin, name.find_last_not_of(kBlank) - begin + 1));
}

MailboxKey parse_mailbox_key(std::string_view key) {
  std::string name = normalise_mailbox_name(key);
  if (is_guid(name)) return {.kind = MailboxKeyKind::kGuid, .id = std::move(name), .tenant = {}};
  constexpr std::size_t kGuidLength = 36;
  if (name.size() == 2 * kGuidLength + 1 && name[kGuidLength] == '@') {
    std::string id = name.substr(0, kGuidLength);
    std::string tenant = name.substr(kGuidLength + 1);
    if (is_guid(id) && is_guid(tenant)) {
      return {
          .kind = MailboxKeyKind::kGuidAtTenant, .id = std::move(id), .tenant = std::move(tenant)};
    }
  }
  return {.kind = MailboxKeyKind::kName, .id = std::move(name), .tenant = {}};
}

std::string smtp_address(std::string_view proxy_address) {
  std::string address = normalise_mailbox_name(proxy_address);
  const std::size_t colon = address.find(':');
  if (colon == std::string::npos) return address;
  if (address.substr(0, colon) != "smtp") return {};
  return normalise_mailbox_name(std::string_view(address).substr(colon + 1));
}

}  // namespace holdfast::graph

#include "approval/fact_names.h"

#include <algorithm>

#include "base/encoding.h"

namespace holdfast::approval {
namespace {

using identity::ActorKind;

Names one(const std::optional<std::string>& name) {
  if (!name || name->empty()) return std::nullopt;
  return std::vector{ascii_lower(*name)};
}

Names several(const std::optional<std::vector<std::string>>& names) {
  if (!names) return std::nullopt;
  std::vector<std::string> lower;
  lower.reserve(names->size());
  for (const std::string& name : *names) lower.push_back(ascii_lower(name));
  return lower;
}

Names names_of(NamedFact fact, const Facts& facts) {
  switch (fact) {
    case NamedFact::kAction:
      return one(facts.action);
    case NamedFact::kResource:
      return one(facts.resource);
    case NamedFact::kUser:
      // An app calling for itself is known not to be any user.
      if (facts.actor_kind == ActorKind::kApp) return std::vector<std::string>{};
      return facts.actor_kind == ActorKind::kUser ? one(facts.user) : std::nullopt;
    case NamedFact::kApp:
      return one(facts.app);
    case NamedFact::kGroup:
      return several(facts.groups);
    case NamedFact::kRole:
      return several(facts.roles);
    case NamedFact::kKind:
      if (facts.actor_kind == ActorKind::kUnknown) return std::nullopt;
      return std::vector{std::string(identity::to_string(facts.actor_kind))};
    case NamedFact::kMailbox:
      // A mailbox without names cannot be told from those on a list.
      if (!facts.mailbox || facts.mailbox->names.empty()) return std::nullopt;
      return several(facts.mailbox->names);
    case NamedFact::kFolder:
      return one(facts.folder);
    case NamedFact::kSender:
      return several(facts.item.sender);
    case NamedFact::kRecipients:
      return several(facts.item.recipients);
    case NamedFact::kCategories:
      return several(facts.item.categories);
  }
  return std::nullopt;
}

}  // namespace

const Names& FactNames::of(NamedFact fact) const {
  std::optional<Names>& names = named_[static_cast<std::size_t>(fact)];
  if (!names) names = names_of(fact, facts_);
  return *names;
}

const Names& FactNames::domains() const {
  if (domains_) return *domains_;
  std::vector<std::string> found;
  const Names& names = of(NamedFact::kMailbox);
  for (const std::string& name : names ? *names : std::vector<std::string>()) {
    const std::size_t at = name.rfind('@');
    if (at != std::string::npos) found.push_back(name.substr(at + 1));
  }
  domains_.emplace(found.empty() ? std::nullopt : Names(std::move(found)));
  return *domains_;
}

const std::optional<IpAddress>& FactNames::address() const {
  if (!address_) {
    address_.emplace(facts_.source_ip ? parse_ip(*facts_.source_ip) : std::nullopt);
  }
  return *address_;
}

const std::vector<std::string>& FactNames::affected() const {
  if (affected_) return *affected_;
  affected_.emplace();
  for (const MailboxNames& mailbox : facts_.affected.known) {
    for (const std::string& name : mailbox.names) affected_->push_back(ascii_lower(name));
  }
  return *affected_;
}

bool FactNames::all_affected_known() const {
  return facts_.affected.complete &&
         std::ranges::none_of(facts_.affected.known,
                              [](const MailboxNames& mailbox) { return mailbox.names.empty(); });
}

}  // namespace holdfast::approval

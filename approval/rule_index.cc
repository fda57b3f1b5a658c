#include "approval/rule_index.h"

#include <algorithm>
#include <bit>
#include <optional>

#include "approval/evaluate.h"

namespace holdfast::approval {
namespace {

constexpr std::uint32_t kBits = 64;

std::uint64_t bit_of(std::uint32_t rule) {
  return std::uint64_t{1} << rule % kBits;
}

void unite(std::vector<std::uint64_t>& all, const std::vector<std::uint64_t>& more) {
  for (std::size_t i = 0; i < all.size(); ++i) all[i] |= more[i];
}

// No name is text like this. If one were, a rule too many would be looked at.
std::string text_like_no_name(const Network& network) {
  std::string text(1, static_cast<char>(network.prefix_bits));
  text.append(network.address.begin(), network.address.end());
  return text;
}

}  // namespace

RuleIndex::RuleIndex(const RuleSetData& data) : all_((data.rules.size() + kBits - 1) / kBits) {
  for (std::uint32_t i = 0; i < data.rules.size(); ++i) all_[i / kBits] |= bit_of(i);
  for (Lookup& lookup : lookups_) lookup.others = all_;
  for (std::uint32_t i = 0; i < data.rules.size(); ++i) {
    for (const Condition& condition : data.rules[i].when) add(condition, i);
  }
  for (std::uint32_t i = 0; i < data.lists.size(); ++i) {
    const ListContent& content = *data.lists[i].content;
    for (const std::string& name : content.names) lists_of_[name].push_back(i);
    for (const Network& network : content.networks.sorted()) {
      lists_of_[text_of(network)].push_back(i);
    }
  }
}

void RuleIndex::add(const Condition& condition, std::uint32_t rule) {
  if (const auto* name = std::get_if<NameTest>(&condition.test)) {
    // Folders are compared in three values even where both are known.
    if (name->fact == NamedFact::kFolder) return;
    add(static_cast<std::size_t>(name->fact), name->values, name->lists, rule);
  } else if (const auto* domain = std::get_if<DomainTest>(&condition.test)) {
    add(kDomain, domain->domains, {}, rule);
  } else if (const auto* affected = std::get_if<AffectedTest>(&condition.test)) {
    add(kAffected, affected->values, affected->lists, rule);
  } else if (const auto* network = std::get_if<NetworkTest>(&condition.test)) {
    std::vector<std::string> texts;
    texts.reserve(network->networks.size());
    for (const Network& one : network->networks) texts.push_back(text_of(one));
    add(kNetwork, texts, network->lists, rule);
  }
}

void RuleIndex::add(std::size_t kind, const std::vector<std::string>& values,
                    const std::vector<std::size_t>& lists, std::uint32_t rule) {
  Lookup& lookup = lookups_[kind];
  lookup.is_used = true;
  if ((lookup.others[rule / kBits] & bit_of(rule)) == 0) return;
  lookup.others[rule / kBits] &= ~bit_of(rule);
  const auto put = [&](Rules& rules) {
    rules.resize(all_.size());
    rules[rule / kBits] |= bit_of(rule);
  };
  for (const std::string& value : values) put(lookup.by_value[value]);
  for (const std::size_t list : lists) {
    auto found = std::ranges::find(lookup.by_list, list, &std::pair<std::size_t, Rules>::first);
    if (found == lookup.by_list.end()) {
      found = lookup.by_list.emplace(lookup.by_list.end(), list, Rules());
    }
    put(found->second);
  }
}

std::string RuleIndex::text_of(const Network& network) {
  prefix_bits_.insert(network.prefix_bits);
  return text_like_no_name(network);
}

// What a call is looked up by; nullopt: unknown.
Names RuleIndex::texts_of(std::size_t kind, const FactNames& call) const {
  if (kind < kNamedFacts) return call.of(static_cast<NamedFact>(kind));
  if (kind == kDomain) return call.domains();
  if (kind == kAffected) return call.all_affected_known() ? Names(call.affected()) : std::nullopt;
  if (!call.address()) return std::nullopt;
  std::vector<std::string> around;
  for (const unsigned bits : prefix_bits_) {
    const std::optional<Network> network = network_around(*call.address(), bits);
    if (network) around.push_back(text_like_no_name(*network));
  }
  return around;
}

std::vector<std::uint32_t> RuleIndex::candidates(const RuleSetData& data,
                                                 const FactNames& call) const {
  Rules left = all_;
  for (std::size_t kind = 0; kind < lookups_.size(); ++kind) {
    const Lookup& lookup = lookups_[kind];
    if (!lookup.is_used) continue;
    const Names texts = texts_of(kind, call);
    if (!texts) continue;
    Rules found = lookup.others;
    for (const std::string& text : *texts) {
      const auto rules = lookup.by_value.find(text);
      if (rules != lookup.by_value.end()) unite(found, rules->second);
    }
    if (!lookup.by_list.empty()) add_listed(lookup, data, call.facts().now, *texts, found);
    for (std::size_t i = 0; i < left.size(); ++i) left[i] &= found[i];
  }
  std::vector<std::uint32_t> positions;
  for (std::uint32_t i = 0; i < left.size(); ++i) {
    for (std::uint64_t word = left[i]; word != 0; word &= word - 1) {
      positions.push_back(i * kBits + static_cast<std::uint32_t>(std::countr_zero(word)));
    }
  }
  return positions;
}

void RuleIndex::add_listed(const Lookup& lookup, const RuleSetData& data, WallTime now,
                           const std::vector<std::string>& texts, Rules& found) const {
  std::vector<std::uint32_t> holding;
  for (const std::string& text : texts) {
    const auto lists = lists_of_.find(text);
    if (lists != lists_of_.end()) {
      holding.insert(holding.end(), lists->second.begin(), lists->second.end());
    }
  }
  for (const auto& [list, rules] : lookup.by_list) {
    if (is_stale(data.lists[list], now) ||
        std::ranges::find(holding, static_cast<std::uint32_t>(list)) != holding.end()) {
      unite(found, rules);
    }
  }
}

}  // namespace holdfast::approval

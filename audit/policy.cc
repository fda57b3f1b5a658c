#include "audit/policy.h"

#include <algorithm>

#include "audit/note_text.h"

namespace holdfast::audit {
namespace {

constexpr std::string_view kNone = "none";
constexpr std::string_view kBlank = " \t";
constexpr std::size_t kPolicyBytesMax = 1024 * 1024;
constexpr std::size_t kLinesMax = 256;  // Of one kind.

std::vector<std::string_view> split(std::string_view line) {
  std::vector<std::string_view> words;
  while (true) {
    line.remove_prefix(std::min(line.find_first_not_of(kBlank), line.size()));
    if (line.empty()) return words;
    const std::size_t end = std::min(line.find_first_of(kBlank), line.size());
    words.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

bool is_allowed(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte == '\t' || (byte >= 0x20 && byte != 0x7F);
}

}  // namespace

Result<Policy> Policy::parse(std::string_view text) {
  if (text.size() > kPolicyBytesMax) return invalid("over 1 MiB");
  Policy policy;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::optional<std::string_view> line = take_line(text);
    Status read = invalid("the last line does not end");
    if (line && !std::ranges::all_of(*line, is_allowed)) read = invalid("a control character");
    if (line && std::ranges::all_of(*line, is_allowed)) read = policy.read(split(*line));
    if (!read.ok()) return invalid("line " + std::to_string(number) + ": " + read.error().message);
  }
  if (!policy.has_quorum_) return invalid("there is no quorum line");
  return policy;
}

Status Policy::read(const Words& words) {
  if (words.empty() || words.front().starts_with('#')) return {};
  if (words.front() == "log") return read_log(words);
  if (words.front() == "witness") return read_witness(words);
  if (words.front() == "group") return read_group(words);
  if (words.front() == "quorum") return read_quorum(words);
  return invalid("a line is a log, a witness, a group or the quorum");
}

Status Policy::read_log(const Words& words) {
  if (words.size() < 2 || words.size() > 3) return invalid("a log is: log KEY [URL]");
  Result<VerifierKey> key = VerifierKey::parse(words[1]);
  if (!key.ok()) return key.error();
  const auto same = [&](const VerifierKey& log) { return log.public_key == key->public_key; };
  if (std::ranges::any_of(logs_, same)) return invalid("the same key twice");
  if (logs_.size() >= kLinesMax) return invalid("too many logs");
  logs_.push_back(*std::move(key));
  return {};
}

Status Policy::read_witness(const Words& words) {
  if (words.size() < 3 || words.size() > 4) return invalid("a witness is: witness NAME KEY [URL]");
  if (Status free = name_is_free(words[1]); !free.ok()) return free;
  Result<WitnessKey> key = WitnessKey::parse(words[2]);
  if (!key.ok()) return key.error();
  const auto same = [&](const Witness& known) { return known.key.public_key == key->public_key; };
  if (std::ranges::any_of(witnesses_, same)) return invalid("the same key twice");
  members_.push_back({.name = std::string(words[1]), .witness = witnesses_.size()});
  witnesses_.push_back({.name = std::string(words[1]),
                        .key = *std::move(key),
                        .url = words.size() > 3 ? std::string(words[3]) : ""});
  return {};
}

Status Policy::read_group(const Words& words) {
  if (words.size() < 4) return invalid("a group is: group NAME all|any|NUMBER MEMBER…");
  if (Status free = name_is_free(words[1]); !free.ok()) return free;
  Member group{.name = std::string(words[1]), .witness = {}};
  for (const std::string_view name : std::span(words).subspan(3)) {
    const std::optional<std::size_t> member = find(name);
    if (!member) return invalid(std::string(name) + " is defined nowhere before");
    if (members_[*member].taken) return invalid(std::string(name) + " is in a group already");
    members_[*member].taken = true;
    group.members.push_back(*member);
  }
  const std::size_t count = group.members.size();
  const std::optional<std::uint64_t> number = parse_decimal(words[2]);
  if (words[2] == "all") group.threshold = count;
  if (words[2] == "any") group.threshold = 1;
  if (number && *number <= count) group.threshold = *number;
  if (group.threshold == 0) return invalid("a threshold is all, any or a number of its members");
  members_.push_back(std::move(group));
  return {};
}

Status Policy::read_quorum(const Words& words) {
  if (words.size() != 2) return invalid("a quorum is: quorum NAME");
  if (has_quorum_) return invalid("a second quorum");
  has_quorum_ = true;
  if (words[1] == kNone) return {};
  quorum_ = find(words[1]);
  if (!quorum_) return invalid(std::string(words[1]) + " is defined nowhere before");
  return {};
}

std::optional<std::size_t> Policy::find(std::string_view name) const {
  const auto found = std::ranges::find(members_, name, &Member::name);
  if (found == members_.end()) return std::nullopt;
  return static_cast<std::size_t>(found - members_.begin());
}

Status Policy::name_is_free(std::string_view name) const {
  if (name == kNone || find(name)) return invalid("the name " + std::string(name) + " is taken");
  if (members_.size() >= kLinesMax) return invalid("too many witnesses and groups");
  return {};
}

std::vector<WitnessKey> Policy::witness_keys() const {
  std::vector<WitnessKey> keys;
  keys.reserve(witnesses_.size());
  for (const Witness& witness : witnesses_) keys.push_back(witness.key);
  return keys;
}

bool Policy::is_satisfied_by(std::span<const Cosignature> cosignatures) const {
  if (!quorum_) return true;
  const auto has_cosigned = [&](const WitnessKey& key) {
    return std::ranges::any_of(cosignatures, [&](const Cosignature& cosignature) {
      return cosignature.witness == key.name && cosignature.key_id == key.key_id();
    });
  };
  // Members stand before the groups that they are in.
  std::vector<bool> witnessed;
  for (const Member& member : members_) {
    const auto count = std::ranges::count_if(
        member.members, [&](std::size_t position) { return witnessed[position]; });
    witnessed.push_back(member.witness ? has_cosigned(witnesses_[*member.witness].key)
                                       : static_cast<std::size_t>(count) >= member.threshold);
  }
  return witnessed[*quorum_];
}

}  // namespace holdfast::audit

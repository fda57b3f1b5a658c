#include "audit/verify_evidence.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "audit/checkpoint.h"
#include "base/crypto.h"

namespace holdfast::audit {
namespace {

// A witness may say any number of seconds; the year 9999 ends here.
constexpr std::chrono::seconds kLatest{253'402'300'799};

std::string over(const TreeHead& head) {
  return " over " + std::to_string(head.size) + " records";
}

std::vector<WitnessKey> keys_of(const std::optional<Policy>& policy) {
  return policy ? policy->witness_keys() : std::vector<WitnessKey>();
}

// Without their newlines; the last one may have none.
std::vector<std::string_view> lines_of(std::string_view bytes) {
  std::vector<std::string_view> lines;
  while (!bytes.empty()) {
    lines.push_back(bytes.substr(0, bytes.find('\n')));
    bytes.remove_prefix(std::min(lines.back().size() + 1, bytes.size()));
  }
  return lines;
}

}  // namespace

EvidenceCheck::EvidenceCheck(EvidenceTrust trust)
    : trust_(std::move(trust)), keys_(keys_of(trust_.policy)) {}

std::string EvidenceCheck::text_of(const TreeHead& head) const {
  return checkpoint_text({.origin = trust_.origin, .head = head, .extensions = {}});
}

EvidenceCheck::Heard EvidenceCheck::hear_cosignature(const Evidence& piece) const {
  const auto named = std::ranges::find(keys_, piece.anchor, &WitnessKey::name);
  if (named == keys_.end()) return {};
  const std::string what = "the cosignature of " + piece.anchor + over(piece.head);
  const Result<std::vector<NoteSignature>> lines = parse_signature_lines(piece.content + "\n");
  if (!lines.ok() || lines->size() != 1) return {.wrong = what + ": not a signature line"};
  // One name may have several keys, one after the other.
  const auto signing = std::ranges::find_if(keys_, [&](const WitnessKey& key) {
    return key.name == piece.anchor && key.key_id() == lines->front().key_id;
  });
  Result<Cosignature> said = verify_cosignature(lines->front(), text_of(piece.head),
                                                signing == keys_.end() ? *named : *signing);
  if (!said.ok()) return {.wrong = what + ": " + said.error().message};
  return {.wrong = {}, .cosignature = *std::move(said)};
}

EvidenceCheck::Heard EvidenceCheck::hear(const Evidence& piece) const {
  if (piece.kind == EvidenceKind::kCosignature) return hear_cosignature(piece);
  if (piece.kind != EvidenceKind::kTimestamp || !trust_.timestamps) return {};
  const Result<Timestamp> said =
      verify_timestamp(piece.content, sha256(text_of(piece.head)), *trust_.timestamps);
  if (said.ok()) return {.wrong = {}, .cosignature = {}, .stamped = said->time};
  return {.wrong =
              "the time stamp of " + piece.anchor + over(piece.head) + ": " + said.error().message};
}

std::vector<EvidenceCheck::Heard> EvidenceCheck::hear_all(
    const std::vector<Evidence>& pieces) const {
  std::vector<Heard> heard(pieces.size());
  const std::size_t share = pieces.size() / std::max(trust_.threads, 1U) + 1;
  std::vector<std::thread> workers;
  for (std::size_t begin = 0; begin < pieces.size(); begin += share) {
    workers.emplace_back([&, begin] {
      const std::size_t end = std::min(begin + share, pieces.size());
      for (std::size_t i = begin; i < end; ++i) heard[i] = hear(pieces[i]);
    });
  }
  for (std::thread& worker : workers) worker.join();
  return heard;
}

void EvidenceCheck::add_file(std::uint64_t number, std::string_view bytes) {
  const std::string file = "evidence/" + tile_index_path(number);
  if (last_file_pieces_ < kEvidenceInFile) {
    report_.faults.add_general("evidence is missing: the file before " + file + " holds " +
                               std::to_string(last_file_pieces_) + " pieces of 256");
  }
  std::vector<Evidence> pieces;
  const std::vector<std::string_view> lines = lines_of(bytes);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    Result<Evidence> piece = parse_evidence_line(lines[i]);
    if (piece.ok()) {
      pieces.push_back(*std::move(piece));
    } else if (piece.error().code != ErrorCode::kNotFound) {
      report_.faults.add_general(file + ", line " + std::to_string(i + 1) + ": " +
                                 (lines[i].empty() ? "is missing" : piece.error().message));
    }
  }
  last_file_pieces_ = lines.size();
  std::vector<Heard> heard = hear_all(pieces);
  for (std::size_t i = 0; i < pieces.size(); ++i) count(pieces[i], std::move(heard[i]));
}

void EvidenceCheck::count(const Evidence& piece, Heard heard) {
  if (!heard.wrong.empty()) {
    report_.faults.add_general(std::move(heard.wrong));
  } else if (heard.cosignature) {
    ++report_.cosignatures;
    count_cosignature(piece.head, *std::move(heard.cosignature));
  } else if (heard.stamped) {
    ++report_.timestamps;
    count_timestamp(piece.head, *heard.stamped);
    add_root(piece.head, "the checkpoint that " + piece.anchor + " has time-stamped");
  } else if (piece.kind != EvidenceKind::kReceipt) {
    ++report_.unknown;
  }
}

void EvidenceCheck::count_cosignature(const TreeHead& head, Cosignature cosignature) {
  add_root(head, "the checkpoint that " + cosignature.witness + " has cosigned");
  if (report_.witnessed && head.size <= report_.witnessed->head.size) return;
  std::vector<Cosignature>& all = gathered_[{head.size, head.root}];
  all.push_back(std::move(cosignature));
  if (!trust_.policy->is_satisfied_by(all)) return;
  const std::int64_t last = std::ranges::max(all, {}, &Cosignature::time_s).time_s;
  report_.witnessed =
      Vouched{.head = head, .time = WallTime(std::min(std::chrono::seconds(last), kLatest))};
  std::erase_if(gathered_, [&](const auto& each) { return each.first.first <= head.size; });
}

void EvidenceCheck::count_timestamp(const TreeHead& head, WallTime time) {
  const std::optional<Vouched>& best = report_.stamped;
  if (best && std::pair(head.size, time) < std::pair(best->head.size, best->time)) return;
  report_.stamped = Vouched{.head = head, .time = time};
}

// Several say the same of one tree, one after the other.
void EvidenceCheck::add_root(const TreeHead& head, std::string from) {
  if (!report_.roots.empty() && report_.roots.back().head == head) return;
  report_.roots.push_back({.head = head, .from = std::move(from)});
}

void EvidenceCheck::add_note(const std::string& note) {
  const Result<Note> parsed = parse_note(note);
  const Result<Checkpoint> checkpoint = read_checkpoint(note);
  if (!parsed.ok() || !checkpoint.ok()) return;
  const Result<std::vector<Cosignature>> found = verify_cosignatures(*parsed, keys_);
  if (!found.ok()) {
    report_.faults.add_general("the log's checkpoint" + over(checkpoint->head) + ": " +
                               found.error().message);
    return;
  }
  for (const Cosignature& cosignature : *found) count_cosignature(checkpoint->head, cosignature);
}

EvidenceReport EvidenceCheck::finish(std::uint64_t tree_size) && {
  const std::string newest = "; the newest is over " + std::to_string(tree_size) + " records";
  const bool needed = trust_.policy && !trust_.policy->is_satisfied_by({});
  if (needed && !report_.witnessed) {
    report_.faults.add_general("no checkpoint has the cosignatures that the policy requires" +
                               newest);
  }
  if (trust_.timestamps && !report_.stamped) {
    report_.faults.add_general(
        "no checkpoint has a time stamp that leads to the certificates named for them" + newest);
  }
  return std::move(report_);
}

}  // namespace holdfast::audit

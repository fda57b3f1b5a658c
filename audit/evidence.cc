#include "audit/evidence.h"

#include <array>
#include <nlohmann/json.hpp>
#include <optional>

#include "audit/checkpoint.h"
#include "audit/note_text.h"
#include "base/canonical_object.h"
#include "base/encoding.h"
#include "base/json.h"

namespace holdfast::audit {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 3> kKinds = {"cosignature", "timestamp", "receipt"};

// A member that is text; null where there is none.
const std::string* text_in(const json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() ? nullptr : found->get_ptr<const std::string*>();
}

std::optional<std::string> decoded_member(const json& object, const char* name) {
  const std::string* text = text_in(object, name);
  return text == nullptr ? std::nullopt : from_base64(*text);
}

std::optional<WallTime> time_in(const json& object, const char* name) {
  const std::string* text = text_in(object, name);
  if (text == nullptr) return std::nullopt;
  const Result<WallTime> time = parse_rfc3339(*text);
  return time.ok() ? std::optional(*time) : std::nullopt;
}

std::optional<TreeHead> head_in(const json& object) {
  const auto size = object.find("size");
  const std::string* root = text_in(object, "root");
  const std::optional<Sha256> hash = root == nullptr ? std::nullopt : parse_hash(*root);
  if (size == object.end() || !size->is_number_unsigned() || !hash) return std::nullopt;
  return TreeHead{.size = size->get<std::uint64_t>(), .root = *hash};
}

}  // namespace

std::string_view to_text(EvidenceKind kind) {
  return kKinds[static_cast<std::size_t>(kind)];
}

std::string evidence_line(const Evidence& evidence) {
  CanonicalObject line;
  line.text("anchor", evidence.anchor);
  line.text("content", to_base64(evidence.content));
  line.text("kind", to_text(evidence.kind));
  line.text("received", to_rfc3339(evidence.received));
  line.text("root", to_base64(bytes_of(evidence.head.root)));
  line.integer("size", static_cast<std::int64_t>(evidence.head.size));
  return std::move(line).take() + "\n";
}

Result<Evidence> parse_evidence_line(std::string_view line) {
  const Result<json> read = parse_json(line);
  if (!read.ok() || !read->is_object()) return invalid("not a piece of evidence: no JSON object");
  const std::string* anchor = text_in(*read, "anchor");
  const std::string* kind = text_in(*read, "kind");
  const std::optional<TreeHead> head = head_in(*read);
  std::optional<std::string> content = decoded_member(*read, "content");
  const std::optional<WallTime> received = time_in(*read, "received");
  if (anchor == nullptr || kind == nullptr || !head || !content || !received) {
    return invalid("not a piece of evidence: a member is missing or wrong");
  }
  for (std::size_t i = 0; i < kKinds.size(); ++i) {
    if (*kind != kKinds[i]) continue;
    return Evidence{.kind = static_cast<EvidenceKind>(i),
                    .anchor = *anchor,
                    .head = *head,
                    .content = *std::move(content),
                    .received = *received};
  }
  return Error{ErrorCode::kNotFound, "evidence of an unknown kind"};
}

std::string anchor_line(const AnchoredCheckpoint& checkpoint) {
  CanonicalObject line;
  line.text("note", checkpoint.note);
  line.text("root", to_base64(bytes_of(checkpoint.head.root)));
  line.text("signed", to_rfc3339(checkpoint.signed_at));
  line.integer("size", static_cast<std::int64_t>(checkpoint.head.size));
  return std::move(line).take() + "\n";
}

Result<AnchoredCheckpoint> parse_anchor_line(std::string_view line) {
  const Result<json> read = parse_json(line);
  if (!read.ok() || !read->is_object())
    return invalid("not an anchored checkpoint: no JSON object");
  const std::string* note = text_in(*read, "note");
  const std::optional<TreeHead> head = head_in(*read);
  const std::optional<WallTime> signed_at = time_in(*read, "signed");
  if (note == nullptr || !head || !signed_at) {
    return invalid("not an anchored checkpoint: a member is missing or wrong");
  }
  const Result<Checkpoint> checkpoint = read_checkpoint(*note);
  if (!checkpoint.ok() || checkpoint->head != *head) {
    return invalid("not an anchored checkpoint: its note says another size or root");
  }
  return AnchoredCheckpoint{.head = *head, .note = *note, .signed_at = *signed_at};
}

}  // namespace holdfast::audit

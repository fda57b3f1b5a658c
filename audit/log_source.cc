#include "audit/log_source.h"

namespace holdfast::audit {
namespace {

constexpr std::size_t kLengthBytes = 2;
constexpr std::size_t kTypicalEntryBytes = 2048;

}  // namespace

void EntryBatch::add(std::string_view entry, std::optional<EntryColumns> columns) {
  if (bytes_.empty()) bytes_.reserve(kTileWidth * kTypicalEntryBytes);
  pieces_.push_back({.begin = bytes_.size(),
                     .length = entry.size(),
                     .missing = false,
                     .columns = std::move(columns)});
  bytes_ += entry;
}

void EntryBatch::add_missing(std::optional<EntryColumns> columns) {
  pieces_.push_back({.missing = true, .columns = std::move(columns)});
}

std::optional<std::string_view> EntryBatch::entry(std::size_t i) const {
  const Piece& piece = pieces_[i];
  if (piece.missing) return std::nullopt;
  return std::string_view(bytes_).substr(piece.begin, piece.length);
}

std::string EntryBatch::bundle() const {
  std::string bundle;
  bundle.reserve(bytes_.size() + pieces_.size() * kLengthBytes);
  for (const Piece& piece : pieces_) {
    bundle += static_cast<char>(piece.length >> 8 & 0xFF);
    bundle += static_cast<char>(piece.length & 0xFF);
    bundle.append(bytes_, piece.begin, piece.length);
  }
  return bundle;
}

Result<EntryBatch> parse_bundle(std::string_view bundle, std::uint64_t width) {
  EntryBatch batch;
  while (batch.size() < width) {
    if (bundle.size() < kLengthBytes) break;
    const auto high = static_cast<unsigned char>(bundle[0]);
    const auto low = static_cast<unsigned char>(bundle[1]);
    const std::size_t length = std::size_t{high} * 256 + low;
    if (bundle.size() - kLengthBytes < length) break;
    batch.add(bundle.substr(kLengthBytes, length));
    bundle.remove_prefix(kLengthBytes + length);
  }
  const bool whole = batch.size() == width;
  while (batch.size() < width) batch.add_missing();
  if (whole && !bundle.empty()) {
    return Error{ErrorCode::kInvalid, "there is more in the bundle than its entries"};
  }
  return batch;
}

bool is_finding(const Error& error) {
  switch (error.code) {
    case ErrorCode::kNotFound:
    case ErrorCode::kInvalid:
    case ErrorCode::kRefused:
    case ErrorCode::kLimit:
      return true;
    case ErrorCode::kUnavailable:
    case ErrorCode::kTimeout:
    case ErrorCode::kInDoubt:
    case ErrorCode::kInternal:
      return false;
  }
  return false;
}

}  // namespace holdfast::audit

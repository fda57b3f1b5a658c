#include "audit/log_directory.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "audit/entry.h"
#include "audit/note_text.h"
#include "base/files.h"

namespace holdfast::audit {
namespace {

constexpr std::size_t kTileBytesMax = kTileWidth * sizeof(Sha256);
constexpr std::size_t kEvidenceBytesMax = 32 * 1024 * 1024;
constexpr std::size_t kBundleBytesMax = kTileWidth * (2 + kEntryBytesMax);

std::string tile_path(const TileId& id) {
  return "tile/" + std::to_string(id.level) + "/" + tile_index_path(id.index);
}

std::string bundle_path(std::uint64_t index) {
  return "tile/entries/" + tile_index_path(index);
}

std::string partial_path(const std::string& path, std::uint64_t width) {
  return width == kTileWidth ? path : path + ".p/" + std::to_string(width);
}

std::string evidence_path(std::uint64_t number) {
  return "/evidence/" + tile_index_path(number);
}

// What cannot be written is no finding.
Status write(const std::filesystem::path& path, std::string_view bytes) {
  std::error_code problem;
  std::filesystem::create_directories(path.parent_path(), problem);
  Status written = write_file(path.string(), bytes);
  if (written.ok()) return written;
  return Error{ErrorCode::kUnavailable, written.error().message};
}

}  // namespace

bool holds_log(const std::string& directory) {
  return std::ranges::any_of(std::array{"checkpoint", "tile", "evidence"}, [&](const char* name) {
    std::error_code problem;
    const auto about = std::filesystem::symlink_status(directory + "/" + name, problem);
    return about.type() != std::filesystem::file_type::not_found;
  });
}

Result<std::string> read_checkpoint_note(const std::string& directory) {
  return read_regular_file(directory + "/checkpoint", kNoteBytesMax);
}

Status save_checkpoint_note(const std::string& directory, const std::string& note) {
  return write(directory + "/checkpoint", note);
}

Result<std::string> read_evidence_file(const std::string& directory, std::uint64_t number) {
  return read_regular_file(directory + evidence_path(number), kEvidenceBytesMax);
}

Status save_evidence_file(const std::string& directory, std::uint64_t number,
                          std::string_view bytes) {
  return write(directory + evidence_path(number), bytes);
}

// `whole`: it is the file of the full tile.
Result<std::string> DirectorySource::read(const std::string& path, std::uint64_t width,
                                          std::size_t bytes_max, bool& whole) const {
  whole = width == kTileWidth;
  Result<std::string> bytes =
      read_regular_file(directory_ + "/" + partial_path(path, width), bytes_max);
  if (bytes.ok() || whole || bytes.error().code != ErrorCode::kNotFound) return bytes;
  Result<std::string> full = read_regular_file(directory_ + "/" + path, bytes_max);
  whole = full.ok();
  return whole ? std::move(full) : std::move(bytes);
}

Result<std::string> DirectorySource::tile(const TileId& id) {
  bool whole = false;
  Result<std::string> bytes = read(tile_path(id), id.width, kTileBytesMax, whole);
  if (bytes.ok() && whole && bytes->size() == kTileBytesMax) {
    bytes->resize(id.width * sizeof(Sha256));
  }
  return bytes;
}

Result<EntryBatch> DirectorySource::entries(const TilePosition& position) {
  bool whole = false;
  const Result<std::string> bytes =
      read(bundle_path(position.index), position.width, kBundleBytesMax, whole);
  if (!bytes.ok()) return bytes.error();
  if (!whole || position.width == kTileWidth) return parse_bundle(*bytes, position.width);
  const Result<EntryBatch> full = parse_bundle(*bytes, kTileWidth);
  if (!full.ok()) return full.error();
  EntryBatch batch;
  for (std::size_t i = 0; i < position.width; ++i) {
    const auto entry = full->entry(i);
    if (entry) {
      batch.add(*entry);
    } else {
      batch.add_missing();
    }
  }
  return batch;
}

Result<std::string> SavingSource::tile(const TileId& id) {
  Result<std::string> bytes = source_->tile(id);
  if (!bytes.ok()) return bytes;
  const std::string path = partial_path(tile_path(id), id.width);
  if (Status saved = write(directory_ + "/" + path, *bytes); !saved.ok()) return saved.error();
  return bytes;
}

Result<EntryBatch> SavingSource::entries(const TilePosition& position) {
  Result<EntryBatch> batch = source_->entries(position);
  const std::uint64_t before = position.index * kTileWidth;
  if (!batch.ok() || tree_size_ <= before) return batch;
  EntryBatch in_tree;
  for (std::size_t i = 0; i < std::min<std::uint64_t>(batch->size(), tree_size_ - before); ++i) {
    const auto entry = batch->entry(i);
    // A log with a hole is reported; a bundle of it there cannot be.
    if (!entry || entry->size() > kEntryBytesMax) return batch;
    in_tree.add(*entry);
  }
  const std::string path = partial_path(bundle_path(position.index), in_tree.size());
  Status saved = write(directory_ + "/" + path, in_tree.bundle());
  if (!saved.ok()) return saved.error();
  return batch;
}

}  // namespace holdfast::audit

#include "cli/log_service.h"

namespace holdfast::cli {
namespace {

constexpr const char* kText = "text/plain";
constexpr const char* kLines = "application/x-ndjson";
constexpr const char* kBytes = "application/octet-stream";

std::string position_path(std::uint64_t index, std::uint64_t width) {
  std::string path = audit::tile_index_path(index);
  if (width < audit::kTileWidth) path += ".p/" + std::to_string(width);
  return path;
}

// What below /log/ is there, or why not. What the service refuses to tell is no finding.
Result<std::string> fetch(AuditService& service, const std::string& path, const char* type) {
  Result<ServiceAnswer> answer = service.get("/log/" + path, type);
  if (!answer.ok()) return Error{ErrorCode::kUnavailable, answer.error().message};
  if (answer->status == 200) return std::move(answer->content);
  const bool missing = answer->status == 404 || answer->status == 410;
  const ErrorCode code = missing ? ErrorCode::kNotFound : ErrorCode::kUnavailable;
  return Error{code, service.url() + "/log/" + path + ": " + refusal_text(*answer)};
}

class ServiceSource final : public audit::LogSource {
 public:
  explicit ServiceSource(const ServiceAccess& access) : service_(access) {}

  Result<std::string> tile(const audit::TileId& id) override {
    return fetch(service_,
                 "tile/" + std::to_string(id.level) + "/" + position_path(id.index, id.width),
                 kBytes);
  }

  Result<audit::EntryBatch> entries(const audit::TilePosition& position) override {
    const Result<std::string> bundle =
        fetch(service_, "tile/entries/" + position_path(position.index, position.width), kBytes);
    if (!bundle.ok()) return bundle.error();
    return audit::parse_bundle(*bundle, position.width);
  }

 private:
  AuditService service_;
};

}  // namespace

Result<std::string> fetch_checkpoint_note(const ServiceAccess& access) {
  AuditService service(access);
  Result<std::string> note = fetch(service, "checkpoint", kText);
  if (note.ok() || note.error().message.find("frozen") == std::string::npos) return note;
  return Error{ErrorCode::kRefused, note.error().message};
}

std::unique_ptr<audit::LogSource> open_service_source(const ServiceAccess& access) {
  return std::make_unique<ServiceSource>(access);
}

audit::EvidenceReader open_service_evidence(const ServiceAccess& access) {
  const auto service = std::make_shared<AuditService>(access);
  return [service](std::uint64_t number) {
    return fetch(*service, "evidence/" + audit::tile_index_path(number), kLines);
  };
}

}  // namespace holdfast::cli

#include "officers/anchors.h"

#include "audit/policy.h"
#include "base/files.h"

namespace holdfast::officers {
namespace {

constexpr std::size_t kFileBytesMax = 1024 * 1024;
constexpr std::chrono::milliseconds kInterval{50};  // Checkpoints come at most twice a second.

Result<std::unique_ptr<audit::Poster>> poster(const std::string& url,
                                              const config::Anchors& options) {
  return audit::Poster::open({.url = url, .ca_file = options.ca_file, .timeout = options.timeout});
}

}  // namespace

Result<std::unique_ptr<Anchors>> Anchors::open(const config::Anchors& options,
                                               const audit::Database& database,
                                               const std::string& origin,
                                               std::function<audit::TreeStatus()> tree) {
  std::unique_ptr<Anchors> anchors(new Anchors);
  const audit::AnchorOptions common{.database = {.database = database}, .tree = std::move(tree)};
  Status added = anchors->add_file(options, common, origin);
  if (added.ok()) added = anchors->add_witnesses(options, common);
  if (added.ok()) added = anchors->add_timestamps(options, common);
  if (added.ok()) added = anchors->add_sink(options, common);
  if (!added.ok()) return added.error();
  return anchors;
}

Anchors::~Anchors() {
  stop();
}

Status Anchors::add_file(const config::Anchors& options, const audit::AnchorOptions& common,
                         const std::string& origin) {
  if (options.file.empty()) return {};
  Result<std::unique_ptr<audit::AnchorFile>> file = audit::AnchorFile::open(options.file);
  if (!file.ok()) return file.error();
  if (const auto& newest = (*file)->newest()) {
    const Result<audit::Checkpoint> checkpoint = audit::read_checkpoint(newest->note);
    if (!origin.empty() && checkpoint.ok() && checkpoint->origin != origin) {
      return Error{ErrorCode::kInvalid,
                   options.file + ": is of the log " + checkpoint->origin + ", not " + origin};
    }
    held_.push_back(newest->head);
  }
  anchors_.push_back(std::make_unique<audit::FileAnchor>(common, options.file, *std::move(file)));
  return {};
}

Status Anchors::add_witnesses(const config::Anchors& options, const audit::AnchorOptions& common) {
  if (options.policy_file.empty()) return {};
  const Result<std::string> text = read_file(options.policy_file, kFileBytesMax, Readers::kAnyone);
  if (!text.ok()) return text.error();
  const Result<audit::Policy> policy = audit::Policy::parse(*text);
  if (!policy.ok()) {
    return Error{ErrorCode::kInvalid, options.policy_file + ": " + policy.error().message};
  }
  for (const audit::Witness& witness : policy->witnesses()) {
    if (witness.url.empty()) continue;
    std::string url = witness.url;
    while (url.ends_with('/')) url.pop_back();
    Result<std::unique_ptr<audit::Poster>> made = poster(url, options);
    if (!made.ok()) {
      return Error{ErrorCode::kInvalid, options.policy_file + ": " + made.error().message};
    }
    auto anchor = std::make_unique<audit::WitnessAnchor>(common, *std::move(made), witness.key,
                                                         options.witness_interval);
    witnesses_.push_back(anchor.get());
    anchors_.push_back(std::move(anchor));
  }
  return {};
}

Status Anchors::add_timestamps(const config::Anchors& options, const audit::AnchorOptions& common) {
  if (options.timestamp_url.empty()) return {};
  if (options.timestamp_ca_file.empty()) {
    return Error{ErrorCode::kInvalid,
                 "audit.anchors.timestamp_url: audit.anchors.timestamp_ca_file is needed with it"};
  }
  const Result<std::string> pem =
      read_file(options.timestamp_ca_file, kFileBytesMax, Readers::kAnyone);
  if (!pem.ok()) return pem.error();
  Result<TimestampTrust> trust = TimestampTrust::from_pem(*pem);
  if (!trust.ok()) {
    return Error{ErrorCode::kInvalid, options.timestamp_ca_file + ": " + trust.error().message};
  }
  Result<std::unique_ptr<audit::Poster>> made = poster(options.timestamp_url, options);
  if (!made.ok()) return made.error();
  anchors_.push_back(std::make_unique<audit::TimestampAnchor>(common, options.timestamp_url,
                                                              *std::move(made), *std::move(trust),
                                                              options.timestamp_interval));
  return {};
}

Status Anchors::add_sink(const config::Anchors& options, const audit::AnchorOptions& common) {
  if (options.sink_url.empty()) return {};
  std::string bearer;
  if (!options.sink_token_file.empty()) {
    const Result<std::string> token =
        read_file(options.sink_token_file, kFileBytesMax, Readers::kOwnerOnly);
    if (!token.ok()) return token.error();
    bearer = token->substr(0, token->find_first_of("\r\n"));
  }
  Result<std::unique_ptr<audit::Poster>> made = poster(options.sink_url, options);
  if (!made.ok()) return made.error();
  anchors_.push_back(
      std::make_unique<audit::SinkAnchor>(common, *std::move(made), std::move(bearer)));
  return {};
}

void Anchors::start() {
  for (const auto& made : anchors_) {
    audit::Anchor* anchor = made.get();
    const audit::AnchorStatus status = anchor->status();
    loops_.push_back(
        std::make_unique<Loop>(LoopWork{.name = "anchor " + status.kind + " " + status.name,
                                        .interval = kInterval,
                                        .step = [anchor] { return anchor->step(); },
                                        .interrupt = [anchor] { anchor->interrupt(); }}));
  }
}

void Anchors::stop() {
  for (const auto& loop : loops_) loop->stop();
}

Status Anchors::opinion(std::uint64_t leadership) const {
  Status unknown;
  for (const audit::WitnessAnchor* witness : witnesses_) {
    Status said = witness->opinion(leadership);
    if (!said.ok() && said.error().code == ErrorCode::kRefused) return said;
    if (!said.ok()) unknown = std::move(said);
  }
  return unknown;
}

std::vector<audit::AnchorStatus> Anchors::status() const {
  std::vector<audit::AnchorStatus> all;
  all.reserve(anchors_.size());
  for (const auto& anchor : anchors_) all.push_back(anchor->status());
  return all;
}

void Anchors::expose(ApiMetrics& metrics) const {
  for (const auto& anchor : anchors_) {
    metrics.add_anchor([each = anchor.get()] { return each->status(); }, system_clock());
  }
}

}  // namespace holdfast::officers

#include "officers/webhooks.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/log.h"
#include "officers/notice_document.h"

namespace holdfast::officers {
namespace {

constexpr std::chrono::milliseconds kDeliveryInterval{500};
constexpr std::chrono::milliseconds kSilence{15'000};  // Besides an answer's time.
constexpr std::chrono::hours kTriedFor{24};
constexpr int kRefusalsMax = 8;
// Of this document, whatever was sent before and will be after it.
constexpr std::array kRefusedStatus{400, 413, 415, 422};

}  // namespace

Webhook::Webhook(Options options, std::unique_ptr<audit::Poster> poster, Counter& failures)
    : options_(std::move(options)),
      poster_(std::move(poster)),
      failures_(failures),
      stream_(options_.stream),
      backoff_(options_.retry_min, options_.retry_max, options_.clock) {}

Result<bool> Webhook::step() {
  // Asked for in a pause too, which keeps the turn.
  const Result<std::optional<approval::Notice>> found = stream_.next();
  const bool any = found.ok() && found->has_value();
  oldest_us_ = any ? (*found)->at.time_since_epoch().count() : 0;
  if (!found.ok()) return found.error();
  if (!any) return false;
  if (const std::optional<Error> pause = backoff_.pause()) return *pause;
  const approval::Notice& notice = **found;
  if (!is_for(notice, options_.target)) {
    const Status settled = stream_.settle(notice);
    if (!settled.ok()) return settled.error();
    return true;
  }
  const Status posted = post(notice);
  if (posted.ok()) {
    backoff_.succeeded();
  } else {
    failures_.add();
    backoff_.failed(posted.error());
    if (!is_hopeless(notice)) return posted.error();
    log_error("a notice is given up", {{"webhook", options_.target.name},
                                       {"approval", notice.code},
                                       {"event", notice.event},
                                       {"why", posted.error().message}});
    if (refusals_ > 0) backoff_.succeeded();
  }
  refusals_ = 0;
  if (Status settled = stream_.settle(notice); !settled.ok()) return settled.error();
  return true;
}

Status Webhook::post(const approval::Notice& notice) {
  audit::Poster::Message message{.path = {},
                                 .content_type = "application/json",
                                 .body = notice_document(notice, options_.target, options_.links)};
  if (!options_.target.secret.empty()) {
    const auto now =
        std::chrono::floor<std::chrono::seconds>(options_.clock.now()).time_since_epoch();
    message.signature = notice_signature(options_.target.secret, now.count(), message.body);
  }
  const Result<audit::Posted> answer = poster_->post(message);
  if (!answer.ok()) {
    refusals_ = 0;
    return answer.error();
  }
  if (answer->status >= 200 && answer->status <= 299) return {};
  const bool refused = std::ranges::find(kRefusedStatus, answer->status) != kRefusedStatus.end();
  refusals_ = refused ? refusals_ + 1 : 0;
  return Error{refused ? ErrorCode::kRefused : ErrorCode::kUnavailable,
               "webhook " + options_.target.name + " answered " + std::to_string(answer->status)};
}

bool Webhook::is_hopeless(const approval::Notice& notice) const {
  return refusals_ >= kRefusalsMax || options_.clock.now() - notice.at > kTriedFor;
}

void Webhook::interrupt() {
  poster_->interrupt();
  stream_.interrupt();
}

std::chrono::seconds Webhook::oldest() const {
  const std::int64_t at = oldest_us_;
  if (at == 0) return std::chrono::seconds(0);
  const auto age = options_.clock.now() - WallTime(std::chrono::microseconds(at));
  return std::max(std::chrono::floor<std::chrono::seconds>(age), std::chrono::seconds(0));
}

Result<std::unique_ptr<Webhooks>> Webhooks::open(const config::Webhooks& options,
                                                 const audit::Database& database,
                                                 const NoticeLinks& links, Metrics& metrics) {
  std::unique_ptr<Webhooks> made(new Webhooks);
  Counter& failures = metrics.counter("holdfast_webhook_failures_total",
                                      "Tries to deliver a notice of an approval that failed.");
  if (!options.file.empty()) {
    Result<std::vector<WebhookTarget>> targets = load_webhooks(options.file);
    if (!targets.ok()) return targets.error();
    for (WebhookTarget& target : *targets) {
      Result<std::unique_ptr<audit::Poster>> poster =
          audit::Poster::open({.url = target.url,
                               .name = "webhook " + target.name,
                               .ca_file = options.ca_file,
                               .timeout = options.timeout});
      if (!poster.ok()) {
        return Error{poster.error().code, options.file + ": " + poster.error().message};
      }
      made->webhooks_.push_back(std::make_unique<Webhook>(
          Webhook::Options{.stream = {.database = {.database = database},
                                      .webhook = target.name,
                                      .warn = options.warn_before,
                                      .silence = options.timeout + kSilence},
                           .target = std::move(target),
                           .links = links},
          *std::move(poster), failures));
    }
  }
  metrics.gauge_from("holdfast_webhook_oldest_seconds",
                     "Age of the oldest notice that a webhook has not taken.", {},
                     [self = made.get()] {
                       std::chrono::seconds oldest{0};
                       for (const auto& webhook : self->webhooks_) {
                         oldest = std::max(oldest, webhook->oldest());
                       }
                       return static_cast<double>(oldest.count());
                     });
  return made;
}

Webhooks::~Webhooks() {
  stop();
}

void Webhooks::start() {
  for (const auto& made : webhooks_) {
    Webhook* webhook = made.get();
    loops_.push_back(
        std::make_unique<Loop>(LoopWork{.name = "webhook",
                                        .interval = kDeliveryInterval,
                                        .step = [webhook] { return webhook->step(); },
                                        .interrupt = [webhook] { webhook->interrupt(); }}));
  }
}

void Webhooks::stop() {
  for (const auto& loop : loops_) loop->stop();
}

}  // namespace holdfast::officers

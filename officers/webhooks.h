// Webhooks: every notice of an approval (approval/notices_postgres.h) is POSTed to each receiver
// that audit.webhooks.file names, in order, at least once. Each receiver has a thread and a
// connection to the database of its own, so a slow one holds up nobody, and no transaction is open
// while it answers.
//
// What is not answered 2xx is sent again, after a second at first and five minutes at last, for a
// day after it happened; then it is given up. A document that the receiver refuses (400, 413, 415,
// 422) is given up after eight tries, so that what follows gets through. After a crash the process
// that has the turn then goes on behind what was answered last.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "approval/notices_postgres.h"
#include "audit/conninfo.h"
#include "audit/poster.h"
#include "base/backoff.h"
#include "base/clock.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "base/result.h"
#include "config/config.h"
#include "officers/notice_document.h"
#include "officers/webhook_file.h"

namespace holdfast::officers {

class Webhook {
 public:
  struct Options {
    approval::NoticeStream::Options stream;
    WebhookTarget target;
    NoticeLinks links;
    std::chrono::milliseconds retry_min{1'000};
    std::chrono::milliseconds retry_max{300'000};
    const Clock& clock = system_clock();
  };
  // The counter must outlive it.
  Webhook(Options options, std::unique_ptr<audit::Poster> poster, Counter& failures);

  // Delivers what is due now; true: more may be left. Blocks. One thread.
  Result<bool> step();

  // From any thread.
  void interrupt();  // For good.
  // How long ago the oldest notice happened that it has not delivered; 0: none, as far as this
  // process is the one that delivers.
  std::chrono::seconds oldest() const;

 private:
  Status post(const approval::Notice& notice);
  bool is_hopeless(const approval::Notice& notice) const;

  const Options options_;
  const std::unique_ptr<audit::Poster> poster_;
  Counter& failures_;
  approval::NoticeStream stream_;
  Backoff backoff_;
  int refusals_ = 0;  // Of the notice that is being delivered.
  std::atomic<std::int64_t> oldest_us_{0};
};

class Webhooks {
 public:
  // Reads files, waits for nobody. kInvalid, kNotFound, kRefused: one line that names the file or
  // the key. `metrics` must outlive it, and not be asked for their text after it is gone.
  static Result<std::unique_ptr<Webhooks>> open(const config::Webhooks& options,
                                                const audit::Database& database,
                                                const NoticeLinks& links, Metrics& metrics);
  ~Webhooks();  // Stops.

  void start();
  void stop();

 private:
  Webhooks() = default;

  std::vector<std::unique_ptr<Webhook>> webhooks_;  // Constant from open() on.
  std::vector<std::unique_ptr<Loop>> loops_;
};

}  // namespace holdfast::officers

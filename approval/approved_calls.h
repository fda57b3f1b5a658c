// Approvals that people have just given, at hand for the calls that they were given to.
//
// A call that is sent again once it is approved need not ask the database where its approval
// stands. What is here is a hint, handed out once: it may be over by now, and the database, which
// refuses to have it claimed then, has the last word. A call that finds nothing here asks the
// database.
//
// In memory only, and bounded. Safe to call from any thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <list>
#include <map>
#include <optional>

#include "approval/approval.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace holdfast::approval {

class ApprovedCalls {
 public:
  static constexpr std::size_t kAtMost = 10'000;
  // What nobody has asked for in this time gives way to what is new, and nothing before.
  static constexpr std::chrono::seconds kKeptFor{10};

  // The clock must outlive this.
  explicit ApprovedCalls(const Clock& clock, std::size_t at_most = kAtMost)
      : clock_(clock), at_most_(at_most) {}

  // Whether so many more may come; what has been kept long enough gives way to them.
  bool make_room(std::size_t wanted);

  void add(ApprovedCall call);

  std::optional<ApprovedCall> take(const Sha256& binding);

 private:
  struct Arrival {
    ApprovedCall call;
    SteadyTime at;
  };

  const Clock& clock_;
  const std::size_t at_most_;
  Mutex mutex_;
  std::list<Arrival> arrivals_ HOLDFAST_GUARDED_BY(mutex_);  // Oldest first.
  std::map<Sha256, std::list<Arrival>::iterator> by_binding_ HOLDFAST_GUARDED_BY(mutex_);
};

}  // namespace holdfast::approval

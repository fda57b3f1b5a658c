// A Budget that many clients share, and of which each gets a part at most, so that no one of them
// keeps the others out.
//
//   SharedBudget::Account account(bodies, address);  // for as long as that client may want some
//   SharedBudget::Share share(account);
//   if (share.take(received) != SharedBudget::Answer::kTaken) return busy();
//
// A SharedBudget is safe from any thread. An Account takes a lock as it begins and as it ends; a
// Share takes none. A Share belongs to one coroutine and must not outlive its Account, nor an
// Account its SharedBudget.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/budget.h"
#include "base/mutex.h"

namespace holdfast {

class SharedBudget {
  struct Client {
    explicit Client(std::size_t max) : budget(max) {}
    Budget budget;
    std::size_t accounts = 0;  // Guarded by mutex_.
  };
  using Clients = std::unordered_map<std::string, Client>;

 public:
  enum class Answer {
    kTaken,
    kOverPart,  // The client has its part.
    kOverAll,   // All clients together have everything.
  };

  // One client's, who may have many at a time. Empty: many clients that cannot be told apart, of
  // which only all is the limit.
  class Account {
   public:
    Account(SharedBudget& budget, const std::string& client)
        : budget_(budget), client_(client.empty() ? nullptr : budget.enter(client)) {}
    ~Account() {
      if (client_ != nullptr) budget_.leave(*client_);
    }
    Account(const Account&) = delete;
    Account& operator=(const Account&) = delete;

   private:
    friend class SharedBudget;
    SharedBudget& budget_;
    Clients::value_type* const client_;  // Stays where it is while there are accounts.
  };

  // Given back by its destructor.
  class Share {
   public:
    explicit Share(const Account& account) : of_all_(account.budget_.all_) {
      if (account.client_ != nullptr) of_client_.emplace(account.client_->second.budget);
    }

    // All of `amount`, or nothing. After kOverAll, `amount` counts as the client's all the same
    // until the Share goes.
    [[nodiscard]] Answer take(std::size_t amount) {
      if (of_client_ && !of_client_->take(amount)) return Answer::kOverPart;
      return of_all_.take(amount) ? Answer::kTaken : Answer::kOverAll;
    }

   private:
    std::optional<Budget::Share> of_client_;  // None: no client of its own.
    Budget::Share of_all_;
  };

  // Each client's part is a quarter of `max`, but no less than `part_min`, what one taker may need.
  explicit SharedBudget(std::size_t max, std::size_t part_min = 1)
      : part_(std::max(max / 4, part_min)), all_(max) {}

  std::size_t used() const { return all_.used(); }
  // How many clients there are that have accounts.
  std::size_t clients() const HOLDFAST_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return clients_.size();
  }

 private:
  Clients::value_type* enter(const std::string& client) HOLDFAST_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    Clients::value_type& found = *clients_.try_emplace(client, part_).first;
    ++found.second.accounts;
    return &found;
  }
  void leave(Clients::value_type& client) HOLDFAST_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (--client.second.accounts == 0) clients_.erase(clients_.find(client.first));
  }

  const std::size_t part_;
  Budget all_;
  mutable Mutex mutex_;
  Clients clients_ HOLDFAST_GUARDED_BY(mutex_);
};

}  // namespace holdfast

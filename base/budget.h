// Something that there is only so much of: places, bytes.
//
//   Budget::Share share(bodies);
//   if (!share.take(received)) return busy();     // given back when `share` goes
//
// A Budget is safe from any thread; a Share belongs to one coroutine and must not outlive its
// Budget.
#pragma once

#include <atomic>
#include <cstddef>

namespace holdfast {

class Budget {
 public:
  class Share {
   public:
    explicit Share(Budget& budget) : budget_(budget) {}
    ~Share() { budget_.used_.fetch_sub(taken_, std::memory_order_relaxed); }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

    // False, and nothing taken, when so much is not left.
    [[nodiscard]] bool take(std::size_t amount) {
      std::size_t used = budget_.used_.load(std::memory_order_relaxed);
      do {
        if (used > budget_.max_ || amount > budget_.max_ - used) return false;
      } while (
          !budget_.used_.compare_exchange_weak(used, used + amount, std::memory_order_relaxed));
      taken_ += amount;
      return true;
    }

   private:
    Budget& budget_;
    std::size_t taken_ = 0;
  };

  explicit Budget(std::size_t max) : max_(max) {}
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

  std::size_t used() const { return used_.load(std::memory_order_relaxed); }

 private:
  const std::size_t max_;
  std::atomic<std::size_t> used_{0};
};

}  // namespace holdfast

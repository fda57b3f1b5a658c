#include "identity/expiring_cache.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

namespace holdfast::identity {
namespace {

TEST(ExpiringCache, ForgetsAtTheEndAndNotBefore) {
  ExpiringCache<int, int> cache(4);
  cache.put("a", 1, 10);
  EXPECT_EQ(cache.find("a", 9), 1);
  EXPECT_EQ(cache.find("a", 10), std::nullopt);
  EXPECT_EQ(cache.size(), 0U);
}

TEST(ExpiringCache, ReplacesWithoutGrowing) {
  ExpiringCache<int, int> cache(2);
  cache.put("a", 1, 10);
  cache.put("b", 2, 10);
  cache.put("a", 3, 20);
  EXPECT_EQ(cache.size(), 2U);
  EXPECT_EQ(cache.find("a", 15), 3);
  EXPECT_EQ(cache.find("b", 5), 2);
}

TEST(ExpiringCache, DropsWhatWasUsedLongestAgo) {
  ExpiringCache<int, int> cache(2);
  cache.put("a", 1, 10);
  cache.put("b", 2, 10);
  EXPECT_EQ(cache.find("a", 0), 1);
  cache.put("c", 3, 10);
  EXPECT_EQ(cache.size(), 2U);
  EXPECT_EQ(cache.find("a", 0), 1);
  EXPECT_EQ(cache.find("b", 0), std::nullopt);
  EXPECT_EQ(cache.find("c", 0), 3);
}

TEST(ExpiringCache, race_of_readers_and_writers) {
  ExpiringCache<std::string, int> cache(8);
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&cache, thread] {
      for (int i = 0; i < 2'000; ++i) {
        const std::string key = std::to_string((i + thread) % 16);
        const std::optional<std::string> found = cache.find(key, i % 3);
        if (found) {
          EXPECT_EQ(*found, key);
        }
        cache.put(key, key, 1 + i % 3);
      }
    });
  }
  threads.clear();
  EXPECT_LE(cache.size(), 8U);
}

}  // namespace
}  // namespace holdfast::identity

#include "http/body.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/http/fixtures.h"

namespace holdfast::http::test {
namespace {

enum class Length { kKnown, kUnknown };

// So many bytes, a network's read at a time.
class Coming : public Body {
 public:
  Coming(std::size_t bytes, Length length) : left_(bytes), length_(length) {}
  Task<Result<std::size_t>> read(std::span<char> buffer) override {
    const std::size_t count = std::min({buffer.size(), left_, std::size_t{1'460}});
    std::ranges::fill(buffer.first(count), 'c');
    left_ -= count;
    co_return count;
  }
  std::optional<std::uint64_t> remaining() const override {
    if (length_ == Length::kUnknown) return std::nullopt;
    return left_;
  }

 private:
  std::size_t left_;
  const Length length_;
};

// Sizes just over a power of two, where a string that grows by doubling is half empty.
TEST(ReadAll, TakesNoMoreMemoryThanTheContentNeeds) {
  Loop loop;
  for (const Length length : {Length::kKnown, Length::kUnknown}) {
    for (const std::size_t size : {100, 16'385, 40'000, 1'048'577}) {
      Coming body(size, length);
      const Result<std::string> content = loop.run(read_all(body, 2'000'000));
      ASSERT_TRUE(content.ok());
      EXPECT_EQ(*content, std::string(size, 'c'));
      EXPECT_LE(content->capacity(), size + 1) << size;
    }
  }
}

TEST(ReadAll, RefusesWhatIsLongerThanItMayBe) {
  Loop loop;
  for (const Length length : {Length::kKnown, Length::kUnknown}) {
    Coming fitting(40'000, length);
    EXPECT_TRUE(loop.run(read_all(fitting, 40'000)).ok());
    Coming longer(40'001, length);
    const Result<std::string> refused = loop.run(read_all(longer, 40'000));
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::kLimit);
  }
}

}  // namespace
}  // namespace holdfast::http::test

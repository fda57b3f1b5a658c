// A RecordSource in memory that remembers what it was asked.
#pragma once

#include <optional>
#include <vector>

#include "audit/queries.h"

namespace holdfast::audit {

class FakeRecordSource final : public RecordSource {
 public:
  Task<Result<RecordPage>> search(RecordQuery query) override {
    asked.push_back(std::move(query));
    if (error) co_return *error;
    co_return page;
  }
  Task<Result<FoundRecord>> get(std::variant<std::int64_t, Uuid> which) override {
    if (error) co_return *error;
    for (const FoundRecord& record : page.records) {
      if (std::holds_alternative<Uuid>(which) || std::get<0>(which) == record.index) {
        co_return record;
      }
    }
    co_return Error{ErrorCode::kNotFound, "no such record"};
  }
  Task<Result<LogState>> state() override {
    if (error) co_return *error;
    co_return log_state;
  }

  RecordPage page;
  LogState log_state{.log_size = 5, .derived = 5, .partitions = 8'388'608};
  std::optional<Error> error;
  std::vector<RecordQuery> asked;
};

}  // namespace holdfast::audit

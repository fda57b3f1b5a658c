// Lists of numbered things, newest first, a page at a time: `limit` and `cursor`. Pure.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "officers/access.h"

namespace holdfast::officers {

inline constexpr int kPageDefault = 50;
inline constexpr int kPageMax = 1000;

struct Page {
  std::optional<std::int64_t> before;  // Numbers below it.
  int at_most = kPageDefault;
  int limit_max = kPageMax;  // What at_most may be.
};

// A whole number from 1 on; nullopt: it is none.
std::optional<std::int64_t> parse_number(std::string_view text);

// Takes a parameter of paging into the page: nothing where it is good, what to answer where it is
// not or is none of them.
std::optional<http::Response> take_paging(const audit::Parameter& parameter, Page& page);

// The body of a page of `path`, whose last value has the number `last`.
nlohmann::json page_json(const Asked& asked, std::string_view path, const Page& page,
                         nlohmann::json values, std::int64_t last);

// The parameters as an access record has them.
nlohmann::json query_json(const Asked& asked);

}  // namespace holdfast::officers

// What an intent says of a call: the parts of one of the bench "guarded".
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace holdfast::bench {

inline constexpr const char* kId = "6f1d7a52-0000-4000-8000-00000000be02";

inline const std::vector<std::string> kMailboxNames{kId, "adele@contoso.com",
                                                    "adele.vance@contoso.com"};

inline nlohmann::json intent_content() {
  const std::string target = std::string("/v1.0/users/") + kId + "/messages/AAMkAGI2TG93AAA=";
  return {{"request",
           {{"method", "POST"},
            {"target", target + "/permanentDelete"},
            {"request_id", kId},
            {"client_request_id", kId},
            {"source_ip", "127.0.0.1"},
            {"user_agent", "bench"}}},
          {"operation",
           {{"action", "permanentDelete"},
            {"resource", "message"},
            {"mailbox", {{"kind", "user"}, {"key", kId}, {"names", kMailboxNames}}},
            {"item", "AAMkAGI2TG93AAA="},
            {"path", target},
            {"version", "v1.0"}}},
          {"actor",
           {{"kind", "user"},
            {"verification", "probe"},
            {"tenant", kId},
            {"user", kId},
            {"app", kId},
            {"name", "adele@contoso.com"},
            {"token_sha256", std::string(64, 'a')}}},
          {"decision",
           {{"effect", "allow"},
            {"rules", {"bench"}},
            {"matched", {{{"id", "bench"}, {"effect", "allow"}}}},
            {"default", false},
            {"rules_sha256", std::string(64, 'b')},
            {"rules_revision", "bench"},
            {"facts",
             {{"actor_kind", "user"},
              {"groups", nullptr},
              {"mailbox", kMailboxNames},
              {"own_mailbox", true},
              {"folder", nullptr},
              {"source_ip", "127.0.0.1"}}}}}};
}

}  // namespace holdfast::bench

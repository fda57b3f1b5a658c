// Who is told of approvals: a file for this process's owner alone, since an address at Teams or
// Slack is a secret by itself.
//
//   webhooks:
//     - name: tickets                   # for the log, and to go on from where it stood
//       url: https://tickets.contoso.com/hooks/holdfast
//       secret: 8kq…                    # what signatures are made with; format json needs one
//     - name: officers-channel
//       url: https://hooks.slack.com/services/…
//       format: slack                   # json, teams, slack
//     - name: retention-bot
//       url: https://bot.contoso.com/approvals
//       secret: 3dp…
//       app: TENANT/APPID               # told only of approvals that this app asked for
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace holdfast::officers {

enum class WebhookFormat { kJson, kTeams, kSlack };

struct WebhookTarget {
  std::string name;
  std::string url;
  std::string secret;  // Empty: nothing is signed.
  WebhookFormat format = WebhookFormat::kJson;
  // Tenant and app id, lower case, of the app whose calls' approvals it is told of; empty: of all.
  std::string app;
};

// kInvalid, kNotFound, kRefused (others may read the file): one line that names file, line and key,
// and holds neither a URL nor a secret.
Result<std::vector<WebhookTarget>> load_webhooks(const std::string& path);
Result<std::vector<WebhookTarget>> parse_webhooks(std::string_view yaml, const std::string& file);

}  // namespace holdfast::officers

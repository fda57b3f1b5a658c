// Client certificates as callers: the app that a verified certificate stands for.
//
// The authority of client certificates vouches for their names, and the configuration says which
// name stands for which app. What counts is the DNS and URI names (subjectAltName), whole: DNS
// names in any case, URIs byte for byte.
// - No common name: it is free text, in which anything may look like a host's name.
// - No wildcards, on either side: one certificate would stand for apps that nobody listed.
// - Names of several apps make a certificate nobody's: which of them acts would be the caller's
//   choice after the fact. Names that are not listed do not matter.
//
// A certificate proves an app and never a user. What the token beside it claims stays unverified:
// it adds nothing to the actor, and only speaks against it. Graph itself decides on the token when
// the call arrives there.
//
// Pure, safe from any thread. No error message quotes the token.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "http/message.h"
#include "identity/actor.h"
#include "identity/claims.h"

namespace holdfast::identity {

class CertificateApps {
 public:
  struct Entry {
    std::string name;       // As http::ClientCertificate has it; DNS:… in lower case, or URI:…
    std::string tenant_id;  // Both in lower case.
    std::string app_id;
  };

  // Each name once.
  explicit CertificateApps(std::vector<Entry> entries);

  // The app, verified by its certificate, as the bearer of `token`; named by the name that was
  // listed. kNotFound: none of the names is. kRefused: they are of several apps. Answer 403.
  Result<Actor> app_of(const http::ClientCertificate& certificate, const BearerToken& token) const;

 private:
  std::unordered_map<std::string, Entry> by_name_;
};

// Whether the token may be that app's own. One without a dot tells nothing to anybody but Graph.
// kInvalid: it is to be read and cannot be, or says that it has expired: answer 401. kRefused: it
// says that it is a user's or another app's: answer 403.
Status check_token(const BearerToken& token, const Actor& app, WallTime now);

}  // namespace holdfast::identity

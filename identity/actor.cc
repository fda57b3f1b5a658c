#include "identity/actor.h"

namespace holdfast::identity {

std::string_view to_string(ActorKind kind) {
  switch (kind) {
    case ActorKind::kUnknown:
      return "unknown";
    case ActorKind::kUser:
      return "user";
    case ActorKind::kApp:
      return "app";
  }
  return "unknown";
}

std::string_view to_string(Verification verification) {
  switch (verification) {
    case Verification::kNone:
      return "none";
    case Verification::kProbe:
      return "probe";
    case Verification::kCertificate:
      return "certificate";
  }
  return "none";
}

}  // namespace holdfast::identity

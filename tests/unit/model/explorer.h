// Walks every state that a model can reach, breadth first, so that what it finds wrong is reached
// in the fewest steps. For models of some million states: it keeps all of them in memory.
//
// A model is a type with
//   State            a value that can be compared and hashed (std::hash)
//   State initial()
//   void steps(const State&, emit)       calls emit(name, State, Kind) for every step possible
//   std::string broken(const State&)     what no state may be, or empty
//   std::string unfinished(const State&) what a state may not be from which only failures lead on
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace holdfast::model {

enum class Kind { kProgress, kFailure };  // Progress is made some time; a failure may never come.

struct Exploration {
  std::size_t states = 0;
  std::string broken;                // What is wrong; empty: nothing in any state.
  std::vector<std::string> history;  // The steps that lead there.
};

template <typename Model>
class Explorer {
 public:
  explicit Explorer(const Model& model) : model_(model) {}

  // Up to the first state that is broken; `what`: in just that way.
  Exploration run(std::string_view what = "") {
    reach(model_.initial(), 0, "");
    for (std::size_t at = 0; at < reached_.size(); ++at) {
      const typename Model::State state = *reached_[at].state;
      std::string broken = model_.broken(state);
      bool last = true;
      model_.steps(state, [&](std::string_view name, const typename Model::State& next, Kind kind) {
        last = last && (kind == Kind::kFailure || next == state);
        reach(next, at, name);
      });
      if (broken.empty() && last) broken = model_.unfinished(state);
      if (!broken.empty() && (what.empty() || broken == what))
        return {reached_.size(), std::move(broken), history(at)};
    }
    return {reached_.size(), "", {}};
  }

 private:
  struct Reached {
    const typename Model::State* state;  // Of known_, which never moves its keys.
    std::size_t from;
    std::string_view step;  // Names are literals.
  };

  void reach(const typename Model::State& state, std::size_t from, std::string_view step) {
    const auto [known, is_new] = known_.try_emplace(state, reached_.size());
    if (is_new) reached_.push_back({&known->first, from, step});
  }

  std::vector<std::string> history(std::size_t at) const {
    std::vector<std::string> steps;
    for (; at != 0; at = reached_[at].from) steps.emplace_back(reached_[at].step);
    std::reverse(steps.begin(), steps.end());
    return steps;
  }

  const Model& model_;
  std::unordered_map<typename Model::State, std::size_t> known_;
  std::vector<Reached> reached_;
};

}  // namespace holdfast::model

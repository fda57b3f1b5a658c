#include "approval/stage_places.h"

namespace holdfast::approval {
namespace {

using Seats = std::vector<std::optional<std::size_t>>;  // Each person's stage.

// Along the people who would come to each stage, from the one with a free place back to the
// newcomer, who leaves none.
void move_up(std::optional<std::size_t> taken, const Seats& comers, Seats& seats) {
  while (taken) {
    const std::size_t stage = *taken;
    const std::size_t mover = comers[stage].value();
    taken = seats[mover];
    seats[mover] = stage;
  }
}

// The last of `seats` gets a stage, if there is any way to make room: an augmenting path of the
// matching, searched breadth first, so that nobody moves where a place is free. Without one from a
// newcomer the matching is as large as can be with them too (Berge), and stays so when others come.
void seat_newcomer(std::vector<std::size_t>& places, const std::vector<StageIndexes>& people,
                   Seats& seats) {
  Seats comers(places.size());
  std::vector<std::size_t> movers = {seats.size() - 1};
  for (std::size_t turn = 0; turn < movers.size(); ++turn) {
    const std::size_t mover = movers[turn];
    for (const std::size_t stage : people[mover]) {
      if (stage >= places.size() || comers[stage]) continue;
      comers[stage] = mover;
      if (places[stage] > 0) {
        --places[stage];
        return move_up(stage, comers, seats);
      }
      for (std::size_t other = 0; other < seats.size(); ++other) {
        if (seats[other] == stage) movers.push_back(other);
      }
    }
  }
}

}  // namespace

std::vector<std::optional<std::size_t>> fill_places(std::vector<std::size_t> places,
                                                    const std::vector<StageIndexes>& people) {
  Seats seats;
  seats.reserve(people.size());
  for (std::size_t i = 0; i < people.size(); ++i) {
    seats.emplace_back();
    seat_newcomer(places, people, seats);
  }
  return seats;
}

}  // namespace holdfast::approval

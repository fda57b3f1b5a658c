// Who counts for which stage of an approval: each person for one, however many they belong to, and
// so that as many places are filled as can be.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

namespace holdfast::approval {

// Indexes of an approval's stages, from 0, ascending.
using StageIndexes = std::vector<std::size_t>;

// For each of `people`, who have the stages that they may count for, the one that they do count
// for; nullopt: none, because with them no more places are filled than without. `places` says how
// many a stage has.
//
// People are given places in their order, each the first that is free in one of their stages; where
// there is none, others move to make room. So who was given a place keeps one, in whatever stage,
// when more people come.
std::vector<std::optional<std::size_t>> fill_places(std::vector<std::size_t> places,
                                                    const std::vector<StageIndexes>& people);

}  // namespace holdfast::approval

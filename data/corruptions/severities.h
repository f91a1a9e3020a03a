#pragma once
#include <array>
#include <cstddef>

#include "data/corruptions/corruption.h"

// The strengths of the published sets, from severity 1 to 5.
namespace pal::severities {

template <typename Strength>
using Five = std::array<Strength, kSeverities>;

/// One corruption's strengths in both sets.
template <typename Strength>
struct Table {
  Five<Strength> imagenet;
  Five<Strength> cifar;

  const Strength& at(ParameterSet set, int severity) const {
    const auto& five = set == ParameterSet::imagenet ? imagenet : cifar;
    return five[static_cast<size_t>(severity - 1)];
  }
};

/// Standard deviation, of white.
inline constexpr Table<double> kGaussianNoise{{.08, .12, .18, .26, .38}, {.04, .06, .08, .09, .10}};
/// Photons that white stands for.
inline constexpr Table<double> kShotNoise{{60, 25, 12, 5, 3}, {500, 250, 100, 75, 50}};
/// Share of the values that are changed.
inline constexpr Table<double> kImpulseNoise{{.03, .06, .09, .17, .27}, {.01, .02, .03, .05, .07}};
/// Standard deviation, of the value itself.
inline constexpr Table<double> kSpeckleNoise{{.15, .2, .35, .45, .6}, {.06, .1, .12, .16, .2}};

/// A disc's radius in pixels, and the deviation that smooths its rim.
struct Defocus {
  double radius, rim;
};
inline constexpr Table<Defocus> kDefocus{{{{3, .1}, {4, .5}, {6, .5}, {8, .5}, {10, .5}}},
                                         {{{.3, .4}, {.4, .5}, {.5, .6}, {1, .2}, {1.5, .1}}}};

/// Deviation of both blurs, the longest move in pixels, and how often all pixels move.
struct Glass {
  double sigma;
  int reach, passes;
};
inline constexpr Table<Glass> kGlass{
    {{{.7, 1, 2}, {.9, 2, 1}, {1, 2, 3}, {1.1, 3, 2}, {1.5, 4, 2}}},
    {{{.05, 1, 1}, {.25, 1, 1}, {.4, 1, 1}, {.25, 1, 2}, {.4, 1, 2}}}};

/// A line of 2 radius + 1 pixels and the deviation along it.
struct Motion {
  int radius;
  double sigma;
};
inline constexpr Table<Motion> kMotion{{{{10, 3}, {15, 5}, {15, 8}, {15, 12}, {20, 15}}},
                                       {{{6, 1}, {6, 1.5}, {6, 2}, {8, 2}, {9, 2.5}}}};

/// Magnifications 1, 1 + step and so on.
struct Zoom {
  int count;
  double step;
};
inline constexpr Table<Zoom> kZoom{{{{12, .01}, {16, .01}, {11, .02}, {13, .02}, {11, .03}}},
                                   {{{7, .01}, {12, .01}, {16, .01}, {21, .01}, {26, .01}}}};

/// Flakes: mean and deviation of the field, its magnification, the level below which there is
/// none, the line that they fall along, and how much of the picture's own colours remains.
struct Snow {
  double mean, deviation, zoom, threshold;
  Motion fall;
  double mix;
};
inline constexpr Table<Snow> kSnow{{{{.1, .3, 3, .5, {10, 4}, .8},
                                     {.2, .3, 2, .5, {12, 4}, .7},
                                     {.55, .3, 4, .9, {12, 8}, .7},
                                     {.55, .3, 4.5, .85, {12, 8}, .65},
                                     {.55, .3, 2.5, .85, {12, 12}, .55}}},
                                   {{{.1, .2, 1, .6, {8, 3}, .95},
                                     {.1, .2, 1, .5, {10, 4}, .9},
                                     {.15, .3, 1.75, .55, {10, 4}, .9},
                                     {.25, .3, 2.25, .6, {12, 6}, .85},
                                     {.3, .3, 1.25, .65, {14, 12}, .8}}}};

/// Weights of image and frost.
struct Frost {
  double image, frost;
};
inline constexpr Table<Frost> kFrost{{{{1, .4}, {.8, .6}, {.7, .7}, {.65, .7}, {.6, .75}}},
                                     {{{1, .2}, {1, .3}, {.9, .4}, {.85, .4}, {.75, .45}}}};

/// Amount, and what finer structures are divided by at each level.
struct Fog {
  double amount, decay;
};
inline constexpr Table<Fog> kFog{{{{1.5, 2}, {2, 2}, {2.5, 1.7}, {2.5, 1.5}, {3, 1.4}}},
                                 {{{.2, 3}, {.5, 3}, {.75, 2.5}, {1, 2}, {1.5, 1.75}}}};

/// Added to the value of HSV.
inline constexpr Table<double> kBrightness{{.1, .2, .3, .4, .5}, {.05, .1, .15, .2, .3}};
/// Factor around the mean.
inline constexpr Table<double> kContrast{{.4, .3, .2, .1, .05}, {.75, .5, .4, .3, .15}};

/// Amplitude and smoothing of the displacements, and how far three points of the image move: in
/// pixels (imagenet; meant for 244, and kept) or in sides of the image (cifar).
struct Elastic {
  double amplitude, sigma, jitter;
};
inline constexpr Table<Elastic> kElastic{
    {{{488, 170.8, 24.4},
      {488, 19.52, 48.8},
      {12.2, 2.44, 4.88},
      {17.08, 2.44, 4.88},
      {29.28, 2.44, 4.88}}},
    {{{0, 0, .08}, {.05, .2, .07}, {.08, .06, .06}, {.1, .04, .05}, {.1, .03, .03}}}};

/// Size of the coarse image.
inline constexpr Table<double> kPixelate{{.6, .5, .4, .3, .25}, {.95, .9, .85, .75, .65}};
/// Quality.
inline constexpr Table<int> kJpeg{{25, 18, 15, 10, 7}, {80, 65, 58, 50, 40}};
/// Deviation in pixels.
inline constexpr Table<double> kGaussianBlur{{1, 2, 3, 4, 6}, {.4, .6, .7, .8, 1}};

/// Mean and deviation of a field, its smoothing in pixels, the level above which it is liquid;
/// water's brightness, or the smoothing of mud.
struct Spatter {
  double mean, deviation, sigma, threshold, amount;
  bool mud;
};
inline constexpr Table<Spatter> kSpatter{{{{.65, .3, 4, .69, .6, false},
                                           {.65, .3, 3, .68, .6, false},
                                           {.65, .3, 2, .68, .5, false},
                                           {.65, .3, 1, .65, 1.5, true},
                                           {.67, .4, 1, .65, 1.5, true}}},
                                         {{{.62, .1, .7, .7, .5, false},
                                           {.65, .1, .8, .7, .5, false},
                                           {.65, .3, 1, .69, .5, false},
                                           {.65, .1, .7, .69, .6, true},
                                           {.65, .1, .5, .68, .6, true}}}};

/// The saturation's factor, and what is added to it.
struct Saturate {
  double factor, offset;
};
inline constexpr Table<Saturate> kSaturate{{{{.3, 0}, {.1, 0}, {2, 0}, {5, .1}, {20, .2}}},
                                           {{{.3, 0}, {.1, 0}, {1.5, 0}, {2, .1}, {2.5, .2}}}};

}  // namespace pal::severities

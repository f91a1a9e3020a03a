#pragma once

namespace pal {

/// What `attack_p` is: whole lines of pal-classify's help.
constexpr const char* kAttackDetector =
    "attack_p is the attack detector of Mackowiak et al. 2021: the two-tailed test of a picture's\n"
    "density, as a p-value among held-out images; below --warn-below it is flagged. A flag means "
    "a\n"
    "density too high or too low, as after an attack, but also as of corrupted or foreign "
    "pictures;\n"
    "it is no proof of an attack. Attacks that leave the density as it was, or that are made to\n"
    "fool this test, are not seen.";

/// How often it flags pictures, measured with weights of experiments/results/sweep; lines likewise.
constexpr const char* kAttackRates =
    "Measured with networks of beta 1 and 16 on Fashion-MNIST. False alarms, of 10,000 unchanged\n"
    "test images that no calibration saw: 5.0 and 4.5 % at --warn-below 0.05, 1.0 and 1.0 % at\n"
    "0.01. Found at 0.05, of 40 pictures that pal-attack made: of the published attack (kappa 1)\n"
    "3 and 2, hardly more than of unchanged ones; made to go unnoticed (d 66) none; with all the\n"
    "confidence that can be had (kappa inf) all.";

}  // namespace pal

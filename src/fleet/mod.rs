//! Scriptable proxies and an origin on loopback, for tests, demos and users' own suites.

"""Faster ways to compute what is written out plainly elsewhere; a test holds each equal to its plain twin."""

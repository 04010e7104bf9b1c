// The server that Keyturn starts from, as a widely read NestJS tutorial builds it: users and refresh tokens in memory, one
// process, passport for the guard, jsonwebtoken for the tokens. Only what is measured: login, refresh, who am I.
import 'reflect-metadata';
import { Body, Controller, Get, Injectable, Ip, Module, Post, Req, UnauthorizedException, UseGuards, ValidationPipe } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AuthGuard, PassportModule, PassportStrategy } from '@nestjs/passport';
import { IsEmail, IsNotEmpty } from 'class-validator';
import { sign, verify } from 'jsonwebtoken';
import { ExtractJwt, Strategy } from 'passport-jwt';

const { ACCESS_SECRET, REFRESH_SECRET } = process.env as Record<string, string>;

interface User { id: number; name: string; email: string; password: string; }

const USERS: User[] = [
  { id: 0, name: 'Bob', email: 'bob@gmail.com', password: 'bobPass' },
  { id: 1, name: 'John', email: 'john@gmail.com', password: 'johnPass' },
  { id: 2, name: 'Gary', email: 'gary@gmail.com', password: 'garyPass' },
];

class RefreshToken {
  id!: number;
  userId!: number;
  userAgent!: string;
  ipAddress!: string;

  constructor(init: Partial<RefreshToken>) { Object.assign(this, init); }

  sign(): string { return sign({ ...this }, REFRESH_SECRET); }
}

class LoginBody {
  @IsEmail() email!: string;
  @IsNotEmpty() password!: string;
}

class RefreshBody {
  @IsNotEmpty() refreshToken!: string;
}

@Injectable()
class UserService {
  findByEmail(email: string) { return USERS.find((user) => user.email === email); }
  findOne(id: number) { return USERS.find((user) => user.id === id); }
}

@Injectable()
class AuthService {
  private refreshTokens: RefreshToken[] = [];

  constructor(private readonly users: UserService) {}

  login(email: string, password: string, values: { userAgent: string; ipAddress: string }) {
    const user = this.users.findByEmail(email);
    if (!user || user.password !== password) return undefined;
    const token = new RefreshToken({ id: this.refreshTokens.length, userId: user.id, ...values });
    this.refreshTokens.push(token);
    return { refreshToken: token.sign(), accessToken: this.accessToken(user.id) };
  }

  refresh(text: string) {
    const found = this.retrieve(text);
    if (!found || !this.users.findOne(found.userId)) throw new UnauthorizedException();
    return { accessToken: this.accessToken(found.userId) };
  }

  private retrieve(text: string) {
    try {
      const decoded = verify(text, REFRESH_SECRET) as RefreshToken;
      return this.refreshTokens.find((token) => token.id === decoded.id);
    } catch {
      return undefined;
    }
  }

  private accessToken(userId: number) { return sign({ userId }, ACCESS_SECRET, { expiresIn: '1h' }); }
}

@Injectable()
class JwtStrategy extends PassportStrategy(Strategy) {
  constructor() {
    super({ jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(), ignoreExpiration: false, secretOrKey: ACCESS_SECRET });
  }

  validate(payload: { userId: number }) { return { userId: payload.userId }; }
}

@Controller('auth')
class AuthController {
  constructor(private readonly auth: AuthService) {}

  @Post('login')
  login(@Req() request: any, @Ip() ipAddress: string, @Body() body: LoginBody) {
    return this.auth.login(body.email, body.password, { ipAddress, userAgent: request.headers['user-agent'] });
  }

  @Post('refresh')
  refresh(@Body() body: RefreshBody) { return this.auth.refresh(body.refreshToken); }
}

@Controller('users')
class UserController {
  constructor(private readonly users: UserService) {}

  @Get('me')
  @UseGuards(AuthGuard('jwt'))
  me(@Req() request: any) { return this.users.findOne(request.user.userId); }
}

@Module({
  imports: [PassportModule],
  controllers: [AuthController, UserController],
  providers: [AuthService, UserService, JwtStrategy],
})
class AppModule {}

NestFactory.create(AppModule, { logger: false }).then(async (app) => {
  app.useGlobalPipes(new ValidationPipe());
  await app.listen(Number(process.env.PORT), '127.0.0.1');
});
